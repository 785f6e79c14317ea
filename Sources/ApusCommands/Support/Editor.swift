import Glibc
import NIOCore

/// The user's editor.
package enum Editor {
    /// Lets the user edit a text; gives it back as it is when the editor has ended.
    package static func edit(_ text: String, suffix: String = ".yaml") throws -> String {
        var template = Array((temporaryFolder + "/apus-XXXXXX" + suffix).utf8CString)
        let descriptor = mkstemps(&template, Int32(suffix.utf8.count))
        guard descriptor >= 0 else { throw FileFailure("make a temporary file") }
        defer { close(descriptor) }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(path) }
        var text = text
        try text.withUTF8 { try FileIO.writeAll(UnsafeRawBufferPointer($0), to: descriptor) }
        try run(on: path)
        let edited = open(path, O_RDONLY | O_CLOEXEC)
        guard edited >= 0 else { throw FileFailure("read \(path)") }
        defer { close(edited) }
        var result: [UInt8] = []
        while let part = try FileIO.read(edited) { result += part.readableBytesView }
        return String(decoding: result, as: UTF8.self)
    }

    /// Runs the editor on a file and waits for its end.
    package static func run(on path: String) throws {
        let command = variable("VISUAL") ?? variable("EDITOR") ?? (executable("editor") ? "editor" : "vi")
        let words = command.split(separator: " ").map(String.init) + [path]
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // The network library ignores SIGPIPE; an editor's own children should not inherit that.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
        let arguments = words.map { strdup($0) } + [nil]
        defer { arguments.forEach { free($0) } }
        var child: pid_t = 0
        let code = posix_spawnp(&child, words[0], nil, &attributes, arguments, environ)
        guard code == 0 else {
            throw FileFailure("start the editor \"\(command)\" (set EDITOR)", errno: code)
        }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        guard status == 0 else { throw Failure("the editor \"\(command)\" failed; nothing was changed") }
    }

    private static var temporaryFolder: String { variable("TMPDIR") ?? "/tmp" }

    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func executable(_ name: String) -> Bool {
        (variable("PATH") ?? "/usr/bin:/bin").split(separator: ":").contains {
            access("\($0)/\(name)", X_OK) == 0
        }
    }
}
