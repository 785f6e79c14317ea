import ContainerRuntime
import LinuxSystem

/// A type of device: which keys it has, what it adds to a container's start, and how it comes and goes while the
/// container runs. A new type is one value of this in `DeviceTypes.all`.
protocol DeviceType: Sendable {
    /// The heading in the reference: ``"`disk` with path `/`: the root disk"``.
    var title: String { get }
    /// What it is for.
    var summary: String { get }
    /// Whether and how a container with it can be checkpointed.
    var checkpoint: String { get }
    /// Its keys besides `type`.
    var keys: [DeviceKey] { get }

    /// Whether a device is of this type. The first of `DeviceTypes.all` that says so has it.
    func describes(_ device: Device) -> Bool

    /// Checks what the table of keys cannot tell, without asking the daemon. Keys and values have been checked.
    func check(_ device: Device) throws

    /// Checks that what the device refers to is there. Called for the devices of a container, those of its profiles
    /// included, before a change is kept.
    func check(_ device: Device, of owner: DeviceOwner, in services: DeviceServices) async throws

    /// Prepares the device for a start or restore: what it makes on the host it adds to the rollback how to undo.
    func start(
        _ device: Device, of owner: DeviceOwner, in services: DeviceServices, _ rollback: Rollback
    ) async throws -> DeviceContribution

    /// Puts the device into a running container; afterwards nothing is left behind, or it is there.
    func plug(
        _ device: Device, into container: RunningOwner, in services: DeviceServices
    ) async throws -> DeviceContribution

    /// Takes the device out of a running container.
    func unplug(
        _ device: Device, _ contribution: DeviceContribution, from container: RunningOwner,
        in services: DeviceServices
    ) async throws

    /// Changes the device in a running container. Nil: it cannot be changed where it is, but is taken out and put in
    /// again.
    func update(
        _ device: Device, to new: Device, _ contribution: DeviceContribution, in container: RunningOwner,
        services: DeviceServices
    ) async throws -> DeviceContribution?

    /// Removes what `start` or `plug` made, after the container has ended. What has gone by itself is no error.
    func stop(
        _ device: Device, _ contribution: DeviceContribution, of owner: DeviceOwner,
        in services: DeviceServices
    ) async throws
}

extension DeviceType {
    func check(_ device: Device) throws {}
    func check(_ device: Device, of owner: DeviceOwner, in services: DeviceServices) async throws {}
    func start(
        _ device: Device, of owner: DeviceOwner, in services: DeviceServices, _ rollback: Rollback
    ) async throws -> DeviceContribution { DeviceContribution() }
    func plug(
        _ device: Device, into container: RunningOwner, in services: DeviceServices
    ) async throws -> DeviceContribution { DeviceContribution() }
    func unplug(
        _ device: Device, _ contribution: DeviceContribution, from container: RunningOwner,
        in services: DeviceServices
    ) async throws {}
    func update(
        _ device: Device, to new: Device, _ contribution: DeviceContribution, in container: RunningOwner,
        services: DeviceServices
    ) async throws -> DeviceContribution? { nil }
    func stop(
        _ device: Device, _ contribution: DeviceContribution, of owner: DeviceOwner,
        in services: DeviceServices
    ) async throws {}
}

/// What the types of devices may use of the daemon.
struct DeviceServices: Sendable {
    let context: ServiceContext
    let pools: PoolService
    let networks: NetworkService
}

/// The container a device belongs to.
struct DeviceOwner: Sendable {
    let record: ContainerRecord
    /// Its keys, those of its profiles included.
    let config: [String: String]
    /// All its devices, those of its profiles included.
    let devices: [String: [String: String]]

    var name: String { record.name }
}

/// The container a device belongs to, while it runs.
struct RunningOwner: Sendable {
    let owner: DeviceOwner
    let live: LiveContainer
}

/// What a device adds to the life of a container, from its start (or since it was plugged in) to its end. Kept beside
/// the runtime's own files, for a daemon that starts later.
struct DeviceContribution: Sendable, Hashable, Codable {
    /// A directory or file of the host that is shown inside.
    var disk: DiskMount?
    /// Network interfaces.
    var interfaces: [NetworkInterface] = []

    /// Puts everything into what the runtime is told.
    func apply(to spec: inout ContainerSpec) {
        if let disk { spec.disks.append(disk) }
        spec.interfaces += interfaces
    }
}
