import ApusClient
package import ArgumentParser
import Glibc
import NIOCore

/// `apus file edit`
package struct FileEdit: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "edit",
        abstract: "Edit a file of a container with the editor of VISUAL or EDITOR.",
        discussion: """
            Takes the new content from standard input if that is no terminal. Owner and permissions stay.

            EXAMPLES:
              apus file edit c1/etc/hosts
              apus file edit c1/etc/hosts < hosts
            """)

    @Argument(help: ArgumentHelp("The file, as CONTAINER/PATH.", valueName: "file"))
    package var file: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let path = try ContainerPath(file)
        let client = try global.session(of: file).client
        if !Terminal.isTerminal(STDIN_FILENO) {
            return try await client.pushFile(path.path, of: path.container) { try FileIO.read(STDIN_FILENO) }
        }
        try await edit(path.path, of: path.container, client, links: 0)
    }

    private enum Found: Sendable {
        case text(String, FileAttributes)
        case link(String)
    }

    private func edit(_ path: String, of container: String, _ client: Client, links: Int) async throws {
        let found = try await client.file(path, of: container) { file in
            switch file {
            case .directory: throw Failure("\(path) is a directory")
            case .symlink(_, let destination): return Found.link(destination)
            case .file(let attributes, let body):
                let bytes = try await body.collect(limit: 64 << 20)
                guard let text = String(validating: bytes.readableBytesView, as: UTF8.self) else {
                    throw Failure("\(path) is not text; pull it, change it and push it")
                }
                return Found.text(text, attributes)
            }
        }
        switch found {
        case .link(let destination):
            let next = try PathText.following(destination, from: path, links: links)
            try await edit(next, of: container, client, links: links + 1)
        case .text(let text, let attributes):
            let edited = try Editor.edit(text, suffix: "-" + PathText.lastComponent(path))
            guard edited != text else { return }
            let once = OnceBuffer(ByteBuffer(string: edited))
            try await client.pushFile(path, of: container, attributes: attributes) { await once.take() }
        }
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
