package import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus copy`
package struct Copy: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "copy",
        abstract: "Make a container as a copy of another, or of a snapshot.",
        discussion: """
            The copy has the configuration, the devices, the profiles and the snapshots of its original, but for what \
            the flags say. It gets ids and addresses of its own, and is stopped. The files of a container that runs are \
            copied as they are at one instant. Saved running states stay with the original. To another host the \
            configuration goes as it is; profiles and networks of the same names have to be there.

            EXAMPLES:
              apus copy c1 c2
              apus copy c1/s1 c2 -c limits.memory=1GiB
              apus copy c1 c2 --container-only -p default -p web
              apus copy c1 host2:
              apus copy host1:c1 host2:c2 --mode relay
            """,
        aliases: ["cp"])

    @Argument(
        help: ArgumentHelp("The container, or CONTAINER/SNAPSHOT.", valueName: "source"),
        completion: .snapshots)
    package var source: String

    @Argument(
        help: ArgumentHelp(
            "Where the copy is to be, and its name; the daemon picks one if it is left out.",
            valueName: "[remote:]name"))
    package var name: String?

    @Flag(name: .long, help: "Leave the snapshots out.")
    package var containerOnly = false

    @Flag(name: .long, help: ArgumentHelp("The newer name of --container-only.", visibility: .hidden))
    package var instanceOnly = false

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "A key to set, or to take away if it has no value; may be repeated.", valueName: "key=value"))
    package var config: [KeyValue] = []

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("A device to add, or to replace; may be repeated.", valueName: "name,key=value,…"))
    package var device: [DeviceOption] = []

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("A profile in place of the original's; may be repeated.", valueName: "profile"),
        completion: .profiles)
    package var profile: [String] = []

    @Flag(name: .long, help: "Apply no profile.")
    package var noProfiles = false

    @Option(name: .shortAndLong, help: ArgumentHelp("The storage pool to use.", valueName: "pool"))
    package var storage: String?

    @Flag(name: .shortAndLong, help: "Delete the copy when it stops.")
    package var ephemeral = false

    @Option(
        help: ArgumentHelp("Between hosts, who connects to whom: pull, push or relay.", valueName: "mode"))
    package var mode: RelocationMode?

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        if noProfiles && !profile.isEmpty {
            throw ValidationError("--no-profiles and --profile exclude each other.")
        }
    }

    /// What is sent to the daemon.
    package func request() throws -> InstancesPost {
        let from = try SnapshotName(source)
        let origin = from.snapshot.map { "\(from.container)/\($0)" } ?? from.container
        var post = InstancesPost(
            name: try name.map { try ContainerName($0).name } ?? "",
            source: .copy(of: origin, containerOnly: containerOnly || instanceOnly))
        post.config = config.dictionary
        post.devices = Dictionary(device.map { ($0.name, $0.keys) }, uniquingKeysWith: { $1 })
        if let storage { post.devices["root"] = ["type": "disk", "path": "/", "pool": storage] }
        post.profiles = noProfiles ? [] : profile.isEmpty ? nil : profile
        post.ephemeral = ephemeral
        return post
    }

    /// Changes what a copy on another host is to be, as the flags say.
    private func adjust(_ post: inout InstancesPost) {
        post.config = post.config.merging(config.dictionary) { $1 }.filter { !$0.value.isEmpty }
        for each in device { post.devices[each.name] = each.keys }
        if let storage { post.devices["root"] = ["type": "disk", "path": "/", "pool": storage] }
        if noProfiles || !profile.isEmpty { post.profiles = profile }
        post.ephemeral = ephemeral
    }

    /// A copy on another host.
    private func copyAcross(_ from: ResourceName, _ to: ResourceName) async throws {
        let original = try SnapshotName(source)
        let newName = to.name.isEmpty ? original.container : to.name
        var relocation = Relocation(
            source: try global.session(on: from.remote), target: try global.session(on: to.remote),
            name: original.container, newName: newName, live: false, deletes: false)
        relocation.snapshot = original.snapshot
        relocation.mode = mode
        relocation.withoutSnapshots = containerOnly || instanceOnly
        relocation.adjust = { [self] in adjust(&$0) }
        _ = try await relocation.run()
    }

    package func run() async throws {
        let (from, to) = (ResourceName(source), name.map { ResourceName($0) })
        if let to, to.remote != from.remote { return try await copyAcross(from, to) }
        let session = try global.session(of: source)
        var post = try request()
        if let storage {
            // Only the pool is another one: the rest of the root disk is as the original has it.
            let original = try await session.client.instance(try SnapshotName(source).container)
            let root = original.expandedDevices.first {
                $0.value["type"] == "disk" && $0.value["path"] == "/"
            }
            if let root {
                let keys = device.last { $0.name == root.key }?.keys ?? root.value
                if root.key != "root" { post.devices["root"] = nil }
                post.devices[root.key] = keys.merging(["pool": storage]) { $1 }
            }
        }
        let operation = try await session.client.createInstance(post)
        let ended = try await session.finish(operation, "Copying \(source)")
        if post.name.isEmpty, let created = operation.instanceName ?? ended.instanceName {
            session.output.announce("Container name is: \(created)")
        }
    }
}
