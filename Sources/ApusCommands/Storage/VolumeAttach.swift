import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus storage volume attach`
package struct VolumeAttach: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "attach",
        abstract: "Show a volume in a container.",
        discussion: """
            EXAMPLES:
              apus storage volume attach fast data c1 /srv/data
              apus storage volume attach fast data c1 disk0 /srv/data
            """)

    @OptionGroup package var target: VolumeArgument
    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String
    @Argument(
        help: ArgumentHelp(
            "The device's name, if it is not to be the volume's, and its path inside.",
            valueName: "[device] path"))
    package var place: [String]

    package init() {}

    package func validate() throws {
        guard place.count == 1 || place.count == 2 else {
            throw ValidationError("Write PATH, or DEVICE PATH.")
        }
    }

    package func run() async throws {
        let owner = try ContainerOwner(container)
        let device = try VolumeDevice(pool: target.pool, volume: target.volume, place: place)
        try await owner.change(try target.session()) {
            $0.devices = try device.added(to: $0.devices, of: owner.name)
        }
    }
}

/// `apus storage volume attach-profile`
package struct VolumeAttachProfile: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "attach-profile",
        abstract: "Show a volume in all containers of a profile.",
        discussion: """
            EXAMPLES:
              apus storage volume attach-profile fast data web /srv/data
            """)

    @OptionGroup package var target: VolumeArgument
    @Argument(help: ArgumentHelp("The profile.", valueName: "profile"), completion: .profiles)
    package var profile: String
    @Argument(
        help: ArgumentHelp(
            "The device's name, if it is not to be the volume's, and its path inside.",
            valueName: "[device] path"))
    package var place: [String]

    package init() {}

    package func validate() throws {
        guard place.count == 1 || place.count == 2 else {
            throw ValidationError("Write PATH, or DEVICE PATH.")
        }
    }

    package func run() async throws {
        let owner = try ProfileOwner(profile)
        let device = try VolumeDevice(pool: target.pool, volume: target.volume, place: place)
        try await owner.change(try target.session()) {
            $0.devices = try device.added(to: $0.devices, of: owner.name)
        }
    }
}

/// `apus storage volume detach`
package struct VolumeDetach: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "detach",
        abstract: "Take a volume out of a container.",
        discussion: """
            EXAMPLES:
              apus storage volume detach fast data c1
            """)

    @OptionGroup package var target: VolumeArgument
    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    package init() {}

    package func run() async throws {
        let owner = try ContainerOwner(container)
        try await owner.change(try target.session()) {
            $0.devices = try VolumeDevice.removed(
                target.pool, target.volume, from: $0.devices, of: owner.name)
        }
    }
}

/// `apus storage volume detach-profile`
package struct VolumeDetachProfile: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "detach-profile",
        abstract: "Take a volume out of a profile.",
        discussion: """
            EXAMPLES:
              apus storage volume detach-profile fast data web
            """)

    @OptionGroup package var target: VolumeArgument
    @Argument(help: ArgumentHelp("The profile.", valueName: "profile"), completion: .profiles)
    package var profile: String

    package init() {}

    package func run() async throws {
        let owner = try ProfileOwner(profile)
        try await owner.change(try target.session()) {
            $0.devices = try VolumeDevice.removed(
                target.pool, target.volume, from: $0.devices, of: owner.name)
        }
    }
}

/// The disk device that shows a volume.
package struct VolumeDevice: Sendable, Equatable {
    package let name: String
    package let keys: [String: String]

    /// A device for a volume; `place` is the path inside, or the device's name and the path.
    package init(pool: String, volume: String, place: [String]) throws {
        let volume = StorageTarget.volumeName(volume)
        guard let path = place.last else { throw Failure("the path inside the container is missing") }
        name = place.count > 1 ? place[0] : volume
        keys = ["type": "disk", "pool": ResourceName(pool).name, "source": volume, "path": path]
    }

    /// Some devices with this one.
    package func added(to devices: [String: [String: String]], of owner: String) throws
        -> [String: [String: String]]
    {
        guard devices[name] == nil else {
            throw Failure("\(owner) has a device \(name) already; write another name before the path")
        }
        return devices.merging([name: keys]) { _, new in new }
    }

    /// Some devices without those that show a volume.
    package static func removed(
        _ pool: String, _ volume: String, from devices: [String: [String: String]], of owner: String
    ) throws -> [String: [String: String]] {
        let (pool, volume) = (ResourceName(pool).name, StorageTarget.volumeName(volume))
        let rest = devices.filter {
            $0.value["type"] != "disk" || $0.value["pool"] != pool || $0.value["source"] != volume
                || $0.value["path"] == "/"
        }
        guard rest.count < devices.count else { throw Failure("\(owner) has no device that shows \(volume)") }
        return rest
    }
}
