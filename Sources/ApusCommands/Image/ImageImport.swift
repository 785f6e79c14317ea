import ApusAPI
import ApusClient
package import ArgumentParser
import Glibc
import NIOCore

/// `apus image import`
package struct ImageImport: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Put an image file into the daemon's store.",
        discussion: """
            The file is a tarball (compressed or not) or a squashfs with metadata.yaml and rootfs/ in it, as LXD's \
            unified images are. An image in two files is a tarball with metadata.yaml, and a tarball or squashfs with \
            the root file system.

            EXAMPLES:
              apus image import busybox.tar.xz --alias busybox
              apus image import lxd.tar.xz rootfs.squashfs --alias two
              apus image import my.tar.zst --alias my --public description="My own"
            """)

    @Argument(
        help: ArgumentHelp("The image file; \"-\" for standard input.", valueName: "file"),
        completion: .file())
    package var file: String

    @Argument(
        help: ArgumentHelp(
            "The root file system, if it is in a file of its own; REMOTE: to put it there; properties to set.",
            valueName: "rootfs|remote:|key=value"),
        completion: .file())
    package var words: [String] = []

    @Option(name: .long, help: ArgumentHelp("A name for the image; may be repeated.", valueName: "alias"))
    package var alias: [String] = []

    @Flag(name: .long, help: "Let everyone have it.")
    package var `public` = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        guard words.allSatisfy({ KeyValue(argument: $0) != nil || $0 == words.first || $0.hasSuffix(":") })
        else {
            throw ValidationError("Properties are written KEY=VALUE.")
        }
    }

    /// The file with the root file system, if there is one.
    package var rootfs: String? {
        words.first.flatMap { KeyValue(argument: $0) == nil && !$0.hasSuffix(":") ? $0 : nil }
    }

    /// Where to put it.
    var remote: String? { words.first { $0.hasSuffix(":") && KeyValue(argument: $0) == nil } }

    /// Properties to set.
    package var properties: [String: String] { words.compactMap { KeyValue(argument: $0) }.dictionary }

    package func run() async throws {
        let session = try global.session(of: remote)
        let taken = Set(try await session.client.imageAliases().map(\.name))
        if let known = alias.first(where: { taken.contains($0) }) {
            throw Failure("there is an alias \"\(known)\" already; delete it first: apus image alias delete")
        }
        for name in alias { try ResourceName.checkAlias(name) }
        let descriptor = file == "-" ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFailure("open \(file)") }
        let display = ProgressDisplay(label: "Importing the image", quiet: session.output.quiet)
        let operation: ApusAPI.Operation
        if let rootfs {
            let second = open(rootfs, O_RDONLY | O_CLOEXEC)
            guard second >= 0 else { throw FileFailure("open \(rootfs)") }
            let meter = TransferMeter(display: display, stage: "sending", total: try FileStatus(rootfs).size)
            operation = try await session.client.importSplitImage(
                metadata: (PathText.lastComponent(file), { try FileIO.read(descriptor) }),
                rootfs: (PathText.lastComponent(rootfs), { try await Self.read(second, meter) }),
                properties: properties, isPublic: self.public)
        } else {
            let total = file == "-" ? nil : try FileStatus(file).size
            let meter = TransferMeter(display: display, stage: "sending", total: total)
            operation = try await session.client.importImage(
                filename: PathText.lastComponent(file), properties: properties, isPublic: self.public
            ) { try await Self.read(descriptor, meter) }
        }
        await display?.finish()
        let ended = try await session.finish(operation, "Importing the image")
        guard let fingerprint = ended.metadata?["fingerprint"]?.stringValue else {
            throw Failure("apusd did not say which fingerprint the image has; see: apus image list")
        }
        for name in alias {
            try await session.client.createImageAlias(ImageAlias(name: name, target: fingerprint))
        }
        session.output.announce("Image imported with fingerprint: \(fingerprint)")
    }

    private static func read(_ descriptor: Int32, _ meter: TransferMeter) async throws -> ByteBuffer? {
        let bytes = try FileIO.read(descriptor)
        await meter.count(bytes?.readableBytes ?? 0)
        return bytes
    }
}
