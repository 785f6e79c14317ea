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
            The file is a tarball with metadata.yaml and rootfs/ in it, as LXD's unified images are, compressed or not.

            EXAMPLES:
              apus image import busybox.tar.xz --alias busybox
              apus image import my.tar.zst --alias my --public description="My own"
            """)

    @Argument(
        help: ArgumentHelp("The image file; \"-\" for standard input.", valueName: "file"),
        completion: .file())
    package var file: String

    @Argument(help: ArgumentHelp("Properties to set.", valueName: "key=value"))
    package var properties: [KeyValue] = []

    @Option(name: .long, help: ArgumentHelp("A name for the image; may be repeated.", valueName: "alias"))
    package var alias: [String] = []

    @Flag(name: .long, help: "Let everyone have it.")
    package var `public` = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = global.session
        let descriptor = file == "-" ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFailure("open \(file)") }
        let total = file == "-" ? nil : try FileStatus(file).size
        let display = ProgressDisplay(label: "Importing the image", quiet: session.output.quiet)
        let meter = TransferMeter(display: display, stage: "sending", total: total)
        let operation = try await session.client.importImage(
            filename: PathText.lastComponent(file), properties: properties.dictionary, isPublic: self.public
        ) {
            let bytes = try FileIO.read(descriptor)
            await meter.count(bytes?.readableBytes ?? 0)
            return bytes
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
}
