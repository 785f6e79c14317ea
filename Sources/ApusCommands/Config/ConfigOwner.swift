package import ApusAPI
package import ApusClient
package import ArgumentParser

/// Something that has keys and devices: a container or a profile. What `apus config` and `apus profile` have in common
/// is written once for both.
package protocol ConfigOwner: Sendable {
    /// What people call it.
    static var noun: String { get }
    /// The command group that edits it: "config" or "profile".
    static var command: String { get }
    /// A name for examples.
    static var example: String { get }
    /// What the shell offers.
    static var completion: CompletionKind { get }
    /// Its name, with its remote.
    var resource: ResourceName { get }

    /// Reads a name from the command line.
    init(_ text: String) throws
    /// Fetches its keys and devices.
    func load(_ client: Client) async throws -> ConfigSheet
    /// Sends changed keys and devices; refused with status 412 if somebody else has changed them meanwhile.
    func save(_ sheet: ConfigSheet, _ session: Session) async throws
}

/// Keys and devices as they were fetched.
package struct ConfigSheet: Sendable {
    /// Its own keys.
    package var config: ConfigMap
    /// Its own devices.
    package var devices: DevicesMap
    /// Keys of its profiles and its own together.
    package var expandedConfig: ConfigMap
    /// Devices of its profiles and its own together.
    package var expandedDevices: DevicesMap
    /// What else has to be sent back, for a container.
    var instance: InstancePut?
    /// What else has to be sent back, for a profile.
    var description = ""
    /// The state that was fetched.
    let etag: String?
}

extension ConfigOwner {
    /// Its name.
    package var name: String { resource.name }

    /// Fetches, changes and sends; begins anew if somebody else was quicker.
    package func change(_ session: Session, _ edit: (inout ConfigSheet) throws -> Void) async throws {
        // Beside a network or a volume it may have been given a remote of its own.
        _ = try resource.name(on: session.remote)
        try await Client.change {
            let sheet = try await load(session.client)
            return (sheet, sheet.etag)
        } _: {
            try edit(&$0)
        } send: { sheet, _ in
            try await save(sheet, session)
        }
    }
}

/// A container, as `apus config` edits it.
package struct ContainerOwner: ConfigOwner {
    package static let noun = "container"
    package static let command = "config"
    package static let example = "c1"
    package static var completion: CompletionKind { .containers }
    package let resource: ResourceName

    package init(_ text: String) throws {
        resource = ResourceName(text)
        _ = try ContainerName(text)
    }

    package func load(_ client: Client) async throws -> ConfigSheet {
        let (instance, etag) = try await client.getTagged(
            "/1.0/instances/\(name.percentEncoded)", as: Instance.self)
        return ConfigSheet(
            config: instance.config, devices: instance.devices, expandedConfig: instance.expandedConfig,
            expandedDevices: instance.expandedDevices, instance: InstancePut(instance), etag: etag)
    }

    package func save(_ sheet: ConfigSheet, _ session: Session) async throws {
        guard var put = sheet.instance else { return }
        put.config = sheet.config
        put.devices = sheet.devices
        let operation = try await session.client.updateInstance(name, put, etag: sheet.etag)
        try await session.finish(operation, "Changing \(name)")
    }
}

/// A profile, as `apus profile` edits it.
package struct ProfileOwner: ConfigOwner {
    package static let noun = "profile"
    package static let command = "profile"
    package static let example = "web"
    package static var completion: CompletionKind { .profiles }
    package let resource: ResourceName

    package init(_ text: String) throws {
        resource = ResourceName(text)
        guard !resource.name.isEmpty else { throw Failure("a profile's name is missing") }
    }

    package func load(_ client: Client) async throws -> ConfigSheet {
        let (profile, etag) = try await client.getTagged(
            "/1.0/profiles/\(name.percentEncoded)", as: Profile.self)
        return ConfigSheet(
            config: profile.config, devices: profile.devices, expandedConfig: profile.config,
            expandedDevices: profile.devices, description: profile.description, etag: etag)
    }

    package func save(_ sheet: ConfigSheet, _ session: Session) async throws {
        var put = ProfilePut()
        put.config = sheet.config
        put.devices = sheet.devices
        put.description = sheet.description
        try await session.client.updateProfile(name, put, etag: sheet.etag)
    }
}
