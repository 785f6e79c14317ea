package import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus publish`
package struct Publish: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "publish",
        abstract: "Make an image of a stopped container, or of a snapshot.",
        discussion: """
            EXAMPLES:
              apus publish c1/s1 --alias mine
              apus publish c1 --force --alias mine --public description="Our own"
            """)

    @Argument(
        help: ArgumentHelp("The container, or CONTAINER/SNAPSHOT.", valueName: "source"),
        completion: .snapshots)
    package var source: String

    @Argument(
        help: ArgumentHelp(
            "Properties to set. Before them REMOTE: of the container's own host is accepted.",
            valueName: "key=value"))
    package var words: [String] = []

    @Option(name: .long, help: ArgumentHelp("A name for the image; may be repeated.", valueName: "alias"))
    package var alias: [String] = []

    @Flag(name: .long, help: "Let everyone have it.")
    package var `public` = false

    @Flag(name: .shortAndLong, help: "Stop the container for it, and start it again afterwards.")
    package var force = false

    @Flag(name: .long, help: "If an alias is taken, move it to the new image.")
    package var reuse = false

    @Option(
        help: ArgumentHelp(
            "zstd, gzip, xz, bzip2, none or squashfs; the daemon's images.compression_algorithm without it.",
            valueName: "algorithm"))
    package var compression: String?

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws { _ = try properties() }

    private func properties() throws -> [String: String] {
        let pairs = words.filter { !$0.hasSuffix(":") }
        let read = pairs.compactMap { KeyValue(argument: $0) }
        guard read.count == pairs.count else { throw ValidationError("Properties are written KEY=VALUE.") }
        return read.dictionary
    }

    /// What is sent to the daemon.
    package func request() throws -> ImagesPost {
        let name = try SnapshotName(source)
        var post = ImagesPost()
        var origin = ImageSource()
        origin.type = name.snapshot == nil ? "instance" : "snapshot"
        origin.name = name.snapshot.map { "\(name.container)/\($0)" } ?? name.container
        post.source = origin
        post.properties = try properties()
        post.public = self.public
        post.aliases = alias.map { ImageAliasName(name: $0) }
        post.compressionAlgorithm = compression ?? ""
        return post
    }

    package func run() async throws {
        let session = try global.session(of: source)
        for word in words where word.hasSuffix(":") { _ = try session.name(word) }
        let name = try SnapshotName(source)
        let taken = try await session.client.imageAliases().map(\.name)
        if let known = alias.first(where: { taken.contains($0) }), !reuse {
            throw Failure("there is an alias \"\(known)\" already; move it with --reuse")
        }
        var restart = false
        if name.snapshot == nil {
            let instance = try await session.client.instance(name.container)
            restart = instance.statusCode != StatusCode.stopped.rawValue
            if restart {
                guard force else {
                    throw Failure(
                        "\(name.container) is running; stop it first, use --force, or publish a snapshot of it"
                    )
                }
                try await session.finish(
                    try await session.client.changeState(
                        of: name.container, InstanceStatePut(action: "stop")),
                    "Stopping \(name.container)")
            }
        }
        let outcome: Result<ApusAPI.Operation, any Error>
        do {
            outcome = .success(
                try await session.finish(
                    try await session.client.createImage(try request()), "Publishing \(source)"))
        } catch {
            outcome = .failure(error)
        }
        if restart {
            try await session.finish(
                try await session.client.changeState(
                    of: name.container, InstanceStatePut(action: "start", timeout: 0)),
                "Starting \(name.container)")
        }
        let fingerprint = try outcome.get().metadata?["fingerprint"]?.stringValue ?? ""
        session.output.announce("Container published with fingerprint: \(fingerprint)")
    }
}
