public import ApusAPI
import LinuxSystem
import Logging
import Storage

/// What a change of a profile means for the containers that have it.
extension ContainerService {
    /// Replaces a profile; its containers take it over at once.
    /// - Throws: before anything is changed, if one of them cannot have its root disk; after it, which of them could
    ///   not take the rest over.
    public func updateProfile(_ name: String, _ put: ProfilePut, ifMatch: String?) async throws {
        let former = try profiles.get(name)
        try await checkNetworks(ofProfile: name, put.devices)
        try profiles.update(name, put, ifMatch: ifMatch) { try self.checkRootDisks(former, $0) }
        try await profileChanged(from: former)
    }

    /// Changes some of a profile; its containers take it over at once, as above.
    public func patchProfile(_ name: String, _ patch: InstancePatch, ifMatch: String?) async throws {
        let former = try profiles.get(name)
        try await checkNetworks(ofProfile: name, patch.devices ?? [:])
        try profiles.patch(name, patch, ifMatch: ifMatch) { try self.checkRootDisks(former, $0) }
        try await profileChanged(from: former)
    }

    /// Refuses interfaces of a profile that refer to something that is not there, or have each other's names. Those that
    /// it has already are not looked at: what they are on may have gone since.
    public func checkNetworks(ofProfile name: String, _ devices: DevicesMap) async throws {
        let known = (try? profiles.get(name))?.devices ?? [:]
        for (name, config) in devices.sorted(by: { $0.key < $1.key }) where known[name] != config {
            let device = Device(name, config)
            guard device.type == "nic", let type = try DeviceTypes.find(device) as? any NICDevice else {
                continue
            }
            try type.check(device)
            try type.checkNames(device, among: devices)
            if device["network"] != nil { try await type.checkReferences(device, in: deviceServices) }
        }
    }

    /// Renames a profile; the containers that have it keep it.
    public func renameProfile(_ profile: String, to newName: String) throws {
        try profiles.rename(profile, to: newName)
        for name in entries.keys {
            guard let record = entries[name]?.record, record.profiles.contains(profile) else { continue }
            entries[name]?.record.profiles = record.profiles.map { $0 == profile ? newName : $0 }
        }
    }

    private func users(ofProfile profile: String) -> [ContainerRecord] {
        entries.values.map(\.record).filter { $0.profiles.contains(profile) }.sorted { $0.name < $1.name }
    }

    /// A container's keys and devices if one of its profiles were as given.
    private func expanded(_ record: ContainerRecord, with profile: Profile) -> ExpandedConfig {
        profiles.expand(record.profiles, record.config, record.devices, replacing: profile)
    }

    /// Refuses a profile that gives one of its containers a root disk that it cannot have.
    private func checkRootDisks(_ former: Profile, _ new: Profile) throws {
        for record in users(ofProfile: new.name) {
            let root = RootDisk.find(in: expanded(record, with: new).devices) ?? [:]
            guard root != RootDisk.find(in: expanded(record, with: former).devices) ?? [:] else { continue }
            if let pool = root["pool"], !pool.isEmpty, pool != record.pool {
                throw ServiceError.badRequest(
                    "The profile \"\(new.name)\" cannot have its root disk in storage pool \"\(pool)\": its container "
                        + "\"\(record.name)\" is in \"\(record.pool)\". Give that a root disk of its own first, or move it"
                )
            }
            if let size = root["size"], !size.isEmpty, !(try pools.location(record.pool).limitsVolumes) {
                throw ServiceError.badRequest(
                    "The profile \"\(new.name)\" cannot limit the root disk of its container \"\(record.name)\": storage "
                        + "pool \"\(record.pool)\" has the driver dir, which has no limits")
            }
        }
    }

    /// The containers take a changed profile over: all of them the size of the root disk, those that run the rest.
    /// - Throws: which of them could not; the profile is changed all the same.
    private func profileChanged(from former: Profile) async throws {
        var failures: [String] = []
        for record in users(ofProfile: former.name) {
            do {
                try await applyRootSize(
                    record, before: RootDisk.find(in: expanded(record, with: former).devices))
                guard let live = entries[record.name]?.live else { continue }
                try await applyLimits(record, live)
                let addressed = withAddresses(record)
                try await applyDevices(
                    try change(record.name) { $0.volatile = addressed.volatile }, live)
            } catch {
                logger(record.name).warning(
                    "cannot apply the changed profile",
                    metadata: ["error": "\(ServiceError.text(of: error))"])
                failures.append("\(record.name): \(ServiceError.text(of: error))")
            }
        }
        guard failures.isEmpty else {
            throw ServiceError.failure(
                "The profile \"\(former.name)\" is changed, but containers could not take it over: "
                    + failures.joined(separator: "; ") + ". They will with their next start")
        }
    }
}
