import ApusAPI
import Storage

/// What containers have to do with storage pools beside their files.
extension ContainerService {
    /// URLs of the containers with a disk device that shows a volume, their profiles' devices included.
    public func users(ofVolume volume: String, in pool: String) -> [String] {
        entries.values.sorted { $0.record.name < $1.record.name }.filter { entry in
            expanded(entry.record).devices.values.contains {
                $0["type"] == "disk" && $0["pool"] == pool && $0["source"] == volume && $0["path"] != "/"
            }
        }.map { "/1.0/instances/\($0.record.name)" }
    }

    /// The pools of containers that run.
    func poolsInUse() -> Set<String> {
        Set(entries.values.filter { $0.live != nil }.map(\.record.pool))
    }

    /// Limits a container's files to the size its root disk says, or takes the limit away.
    func applyRootSize(_ record: ContainerRecord, before: ContainerRecord? = nil) async throws {
        let size = try rootSize(record)
        let old = try before.flatMap { try rootSize($0) }
        guard size != old else { return }
        let driver = try pools.driver(record.pool)
        try await ServiceError.ofStorage {
            try await driver.setQuota(of: .container(record.name), bytes: size)
        }
    }

    private func rootSize(_ record: ContainerRecord) throws -> UInt64? {
        guard let root = RootDisk.find(in: expanded(record).devices), let text = root["size"], !text.isEmpty
        else { return nil }
        guard let bytes = ConfigValues.bytes(text), bytes > 0 else {
            throw ServiceError.badRequest("The root disk's size \"\(text)\" is not a size such as \"10GiB\"")
        }
        return UInt64(bytes)
    }
}

extension RootDisk {
    /// The root disk among a container's devices.
    static func find(in devices: DevicesMap) -> [String: String]? {
        devices.values.first { $0["type"] == "disk" && $0["path"] == "/" }
    }
}
