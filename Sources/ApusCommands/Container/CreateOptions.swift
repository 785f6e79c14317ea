package import ApusAPI
import ApusClient
package import ArgumentParser

/// What `launch` and `init` have in common.
package struct CreateOptions: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "The image: an alias or fingerprint of the store of the daemon that makes the container, debian:RELEASE, or REMOTE:IMAGE.",
            valueName: "image"
        ),
        completion: .images)
    package var image: String

    @Argument(
        help: ArgumentHelp(
            "The container's name; the daemon picks one if it is left out. REMOTE:NAME makes it there.",
            valueName: "name")
    )
    package var name: String?

    @Option(name: .shortAndLong, help: ArgumentHelp("A key to set; may be repeated.", valueName: "key=value"))
    package var config: [KeyValue] = []

    @Option(
        name: .shortAndLong, help: ArgumentHelp("A profile to apply; may be repeated.", valueName: "profile"),
        completion: .profiles)
    package var profile: [String] = []

    @Flag(name: .long, help: "Apply no profile, not even the default one.")
    package var noProfiles = false

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("A device to add; may be repeated.", valueName: "name,key=value,…"))
    package var device: [DeviceOption] = []

    @Option(name: .shortAndLong, help: ArgumentHelp("The storage pool to use.", valueName: "pool"))
    package var storage: String?

    @Option(name: .shortAndLong, help: ArgumentHelp("The network its eth0 is on.", valueName: "network"))
    package var network: String?

    @Flag(name: .shortAndLong, help: "Delete the container when it stops.")
    package var ephemeral = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        if noProfiles && !profile.isEmpty {
            throw ValidationError("--no-profiles and --profile exclude each other.")
        }
    }

    /// A session with the daemon that is to make it.
    var session: Session { get throws { try global.session(of: name) } }

    /// The container's name; empty for the daemon to pick one.
    private func containerName() throws -> String {
        guard let name, !ResourceName(name).name.isEmpty else { return "" }
        return try ContainerName(name).name
    }

    /// What is sent to the daemon, once it is known where the image is.
    package func request(source: InstanceSource) throws -> InstancesPost {
        var post = InstancesPost(name: try containerName(), source: source)
        post.config = config.dictionary
        post.devices = Dictionary(device.map { ($0.name, $0.keys) }, uniquingKeysWith: { _, last in last })
        if let storage { post.devices["root"] = ["type": "disk", "path": "/", "pool": storage] }
        post.ephemeral = ephemeral
        post.profiles = noProfiles ? [] : profile.isEmpty ? nil : profile
        return post
    }

    /// Creates the container and gives its name.
    func create(in session: Session) async throws -> String {
        var post = try request(
            source: try await ImageName(image, for: session.remote).instanceSource(session))
        if let network {
            let found = try await session.client.network(network)
            post.devices["eth0"] = found.nic(name: "eth0")
        }
        session.output.announce(post.name.isEmpty ? "Creating the container" : "Creating \(post.name)")
        let operation = try await session.client.createInstance(post)
        let name = post.name.isEmpty ? operation.instanceName : post.name
        let ended = try await session.finish(operation, name.map { "Creating \($0)" } ?? "Creating")
        guard let created = name ?? ended.instanceName else {
            throw Failure("the container was created, but apusd did not say its name; see: apus list")
        }
        if post.name.isEmpty { session.output.announce("Container name is: \(created)") }
        return created
    }
}

extension ApusAPI.Operation {
    /// The name of the container that the operation works on.
    var instanceName: String? {
        let urls = resources?["instances"] ?? resources?["containers"]
        return urls?.first?.split(separator: "/").last.map(String.init)
    }
}
