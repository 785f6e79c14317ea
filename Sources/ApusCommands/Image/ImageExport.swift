import ApusAPI
import ApusClient
package import ArgumentParser
import Glibc
import NIOCore

/// `apus image export`
package struct ImageExport: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write an image to a file.",
        discussion: """
            The target is a file's name, a directory, or "-" for standard output; left out, the file gets the name \
            that the daemon gives it. Of an image in two files the second gets the target's name with ".root" behind it.

            EXAMPLES:
              apus image export debian/12
              apus image export debian/12 bookworm.tar.zst
            """)

    @Argument(help: ArgumentHelp("An alias or a fingerprint.", valueName: "image"), completion: .images)
    package var image: String

    @Argument(help: ArgumentHelp("Where to write it.", valueName: "target"), completion: .file())
    package var target: String?

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: image)
        let found = try await session.client.image(named: try session.name(image))
        let display =
            target == "-" ? nil : ProgressDisplay(label: "Exporting the image", quiet: session.output.quiet)
        let target = target
        let path = try await session.client.exportImage(found.fingerprint) { download, body in
            let meter = TransferMeter(display: display, stage: "receiving", total: download.size)
            let name = download.filename ?? found.fingerprint
            if target == "-" {
                if download.boundary != nil {
                    throw Failure("an image in two files cannot go to standard output")
                }
                while let bytes = try await body.next() { try FileIO.writeAll(bytes, to: STDOUT_FILENO) }
                return "-"
            }
            let folder = target.flatMap { (try? FileStatus($0))?.kind == .directory ? $0 : nil }
            if let boundary = download.boundary {
                let split = SplitExport(
                    boundary: boundary, folder: folder, target: folder == nil ? target : nil)
                return try await split.write(body, meter)
            }
            let path = folder.map { PathText.join($0, name) } ?? target ?? name
            try await FileIO.with(path, O_WRONLY | O_CREAT | O_TRUNC) { descriptor in
                while let bytes = try await body.next() {
                    try FileIO.writeAll(bytes, to: descriptor)
                    await meter.count(bytes.readableBytes)
                }
            }
            return path
        }
        await display?.finish()
        if path != "-" { session.output.announce("Image exported to \(path)") }
    }
}
