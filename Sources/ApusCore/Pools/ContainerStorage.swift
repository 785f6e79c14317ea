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

    /// A container's root disk, by its profiles or its own devices.
    func rootDisk(_ record: ContainerRecord) -> [String: String]? {
        RootDisk.find(in: expanded(record).devices)
    }

    /// Limits a container's files to the size its root disk says, or takes the limit away.
    /// - Parameter before: the root disk whose size holds now; nil for none.
    func applyRootSize(_ record: ContainerRecord, before: [String: String]? = nil) async throws {
        let size = try rootSize(rootDisk(record))
        guard size != (try rootSize(before)) else { return }
        let driver = try pools.driver(record.pool)
        try await ServiceError.ofStorage {
            try await driver.setQuota(of: .container(record.name), bytes: size)
        }
    }

    private func rootSize(_ root: [String: String]?) throws -> UInt64? {
        guard let text = root?["size"], !text.isEmpty else { return nil }
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
