import ApusClient
package import ArgumentParser
import NIOCore

/// `apus file edit`
package struct FileEdit: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "edit",
        abstract: "Edit a file of a container with the editor of VISUAL or EDITOR.",
        discussion: """
            EXAMPLES:
              apus file edit c1/etc/hosts
            """)

    @Argument(help: ArgumentHelp("The file, as CONTAINER/PATH.", valueName: "file"))
    package var file: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let path = try ContainerPath(file)
        let client = global.session.client
        let (text, attributes) = try await client.file(path.path, of: path.container) { file in
            guard case .file(let attributes, let body) = file else {
                throw Failure("\(path.path) is not a file")
            }
            return (String(buffer: try await body.collect(limit: 64 << 20)), attributes)
        }
        let edited = try Editor.edit(text, suffix: "-" + PathText.lastComponent(path.path))
        guard edited != text else { return }
        let once = OnceBuffer(ByteBuffer(string: edited))
        try await client.pushFile(path.path, of: path.container, attributes: attributes) { await once.take() }
    }
}

/// Bytes that are given once.
actor OnceBuffer {
    private var bytes: ByteBuffer?

    init(_ bytes: ByteBuffer) { self.bytes = bytes }

    func take() -> ByteBuffer? {
        defer { bytes = nil }
        return bytes
    }
}
