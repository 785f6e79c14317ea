public import ApusAPI
import Synchronization

/// Profiles: keys and devices that containers share.
public final class ProfileService: Sendable {
    private let context: ServiceContext
    private let profiles = Mutex<[String: Profile]>([:])
    /// Held from the comparison of a tag to the end of the change: of two edits of the same state one is refused.
    private let changing = Mutex(())

    init(context: ServiceContext) throws {
        self.context = context
        for profile in try context.store.profiles() { profiles.withLock { $0[profile.name] = profile } }
        if profiles.withLock({ $0["default"] }) == nil {
            var profile = Profile(name: "default")
            profile.description = "Default Apus profile"
            try save(profile)
        }
    }

    /// All profiles, by name, without what uses them.
    public func list() -> [Profile] { profiles.withLock { $0.values.sorted { $0.name < $1.name } } }

    /// A profile, without what uses it.
    public func get(_ name: String) throws -> Profile {
        guard let profile = profiles.withLock({ $0[name] }) else {
            throw ServiceError.notFound("Profile not found")
        }
        return profile
    }

    /// The tag of a profile's editable part.
    public func etag(_ name: String) throws -> String { try ETag.of(editable(try get(name))) }

    /// Makes a profile.
    public func create(_ profile: Profile) throws {
        try changing.withLock { _ in try createNow(profile) }
    }

    private func createNow(_ profile: Profile) throws {
        try Names.checkProfile(profile.name)
        guard profiles.withLock({ $0[profile.name] }) == nil else {
            throw ServiceError.conflict("The profile \"\(profile.name)\" already exists")
        }
        try check(profile.config, profile.devices)
        var new = profile
        new.usedBy = []
        try save(new)
        context.events.lifecycle("profile-created", "/1.0/profiles/\(profile.name)")
    }

    /// Changes a profile, if what it will be passes a check.
    func update(
        _ name: String, _ put: ProfilePut, ifMatch: String?, check: (Profile) throws -> Void
    ) throws {
        try changing.withLock { _ in try updateNow(name, put, ifMatch: ifMatch, check) }
    }

    /// Changes some of a profile: keys and devices are merged into what is there, an empty value unsets a key.
    func patch(
        _ name: String, _ patch: InstancePatch, ifMatch: String?, check: (Profile) throws -> Void
    ) throws {
        try changing.withLock { _ in
            var put = editable(try get(name))
            put.config = put.config.merging(patch.config ?? [:]) { _, new in new }.filter {
                !$0.value.isEmpty
            }
            put.devices.merge(patch.devices ?? [:]) { _, new in new }
            if let description = patch.description { put.description = description }
            try updateNow(name, put, ifMatch: ifMatch, check)
        }
    }

    private func updateNow(
        _ name: String, _ put: ProfilePut, ifMatch: String?, _ accept: (Profile) throws -> Void
    ) throws {
        var profile = try get(name)
        try ETag.check(ifMatch, against: try etag(name))
        try check(put.config, put.devices)
        profile.config = put.config
        profile.devices = put.devices
        profile.description = put.description
        try accept(profile)
        try save(profile)
        context.events.lifecycle("profile-updated", "/1.0/profiles/\(name)")
    }

    /// Renames a profile; containers keep it.
    func rename(_ name: String, to newName: String) throws {
        try changing.withLock { _ in try renameNow(name, to: newName) }
    }

    private func renameNow(_ name: String, to newName: String) throws {
        guard name != "default" else {
            throw ServiceError.badRequest("The profile \"default\" cannot be renamed")
        }
        try Names.checkProfile(newName)
        var profile = try get(name)
        guard profiles.withLock({ $0[newName] }) == nil else {
            throw ServiceError.conflict("The profile \"\(newName)\" already exists")
        }
        try context.store.renameProfile(name, to: newName)
        profile.name = newName
        profiles.withLock { profiles in
            profiles[name] = nil
            profiles[newName] = profile
        }
        context.events.lifecycle("profile-renamed", "/1.0/profiles/\(newName)")
    }

    /// Removes a profile that no container has.
    public func delete(_ name: String, usedBy: [String]) throws {
        _ = try get(name)
        guard name != "default" else {
            throw ServiceError.badRequest("The profile \"default\" cannot be deleted")
        }
        guard usedBy.isEmpty else {
            throw ServiceError.badRequest(
                "The profile \"\(name)\" is in use by \(Users.text(usedBy)); take it off them first"
            )
        }
        try context.store.deleteProfile(name)
        profiles.withLock { _ = $0.removeValue(forKey: name) }
        context.events.lifecycle("profile-deleted", "/1.0/profiles/\(name)")
    }

    /// The keys and devices of some profiles and a container together.
    /// - Parameter other: taken in place of the profile of its name.
    func expand(
        _ names: [String], _ config: ConfigMap, _ devices: DevicesMap, replacing other: Profile? = nil
    ) -> ExpandedConfig {
        let applied = profiles.withLock { profiles in
            names.compactMap { $0 == other?.name ? other : profiles[$0] }
        }
        return ExpandedConfig(profiles: applied, config: config, devices: devices)
    }

    private func check(_ config: ConfigMap, _ devices: DevicesMap) throws {
        for key in config.keys where key.hasPrefix("image.") || key.hasPrefix("volatile.") {
            throw ServiceError.badRequest("A profile cannot have the key \"\(key)\"")
        }
        try ConfigCheck.check(config)
        try ConfigCheck.check(devices: devices)
    }

    private func save(_ profile: Profile) throws {
        try context.store.save(profile)
        profiles.withLock { $0[profile.name] = profile }
    }

    private func editable(_ profile: Profile) -> ProfilePut {
        var put = ProfilePut()
        put.config = profile.config
        put.devices = profile.devices
        put.description = profile.description
        return put
    }
}
