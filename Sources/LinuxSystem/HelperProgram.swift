import CLinux
import Glibc

/// What a helper program printed and how it ended.
public struct HelperOutput: Sendable {
    /// How it ended.
    public var status: ExitStatus
    /// What it printed.
    public var output: [UInt8]
    /// What it printed as errors.
    public var errors: [UInt8]

    /// What it printed, as text.
    public var text: String { String(decoding: output, as: UTF8.self) }
    /// What it printed as errors, as text.
    public var errorText: String { String(decoding: errors, as: UTF8.self) }
}

/// A helper program that failed.
public struct HelperFailure: Error, Sendable, CustomStringConvertible {
    /// Program and arguments.
    public var arguments: [String]
    /// How it ended.
    public var status: ExitStatus
    /// The end of what it printed as errors.
    public var errors: String

    /// One sentence with the program's own last words.
    public var description: String {
        let words = errors.trimmingSpaces.split(separator: "\n").suffix(3).joined(separator: "; ")
        return "\(arguments.first ?? "program") \(status)" + (words.isEmpty ? "" : ": \(words)")
    }
}

/// Running helper programs to their end.
public enum HelperProgram {
    /// Runs a program and captures its output (up to `limit` bytes of each kind; the rest is read and
    /// dropped). If the task is cancelled the program is killed.
    public static func run(
        _ spawn: Spawn, input: [UInt8] = [], limit: Int = 16 << 20
    ) async throws -> HelperOutput {
        let out = try FileDescriptor.pipe()
        let err = try FileDescriptor.pipe()
        let feed = try UnixSocket.pair(.stream)
        var configured = spawn
        configured.fds[0] = feed.0
        configured.fds[1] = out.write
        configured.fds[2] = err.write
        let child = try configured.start()
        for end in [feed.0, out.write, err.write] { end.close() }
        return try await withTaskCancellationHandler {
            async let output = drain(out.read, limit)
            async let errors = drain(err.read, limit)
            try? await supply(feed.1, input)
            let (printed, complaints) = try await (output, errors)
            return HelperOutput(status: try await child.waitForExit(), output: printed, errors: complaints)
        } onCancel: {
            child.signal(SIGKILL)
        }
    }

    /// Runs a program that has to succeed; its output.
    @discardableResult
    public static func succeed(_ arguments: [String], input: [UInt8] = []) async throws -> HelperOutput {
        let result = try await run(Spawn(arguments), input: input)
        guard result.status.isSuccess else {
            throw HelperFailure(
                arguments: arguments, status: result.status, errors: String(result.errorText.suffix(2000)))
        }
        return result
    }

    private static func drain(_ end: FileDescriptor, _ limit: Int) async throws -> [UInt8] {
        var result: [UInt8] = []
        while true {
            // Not cancellable: a killed child closes the pipe.
            try await Task { try await end.readable() }.value
            let part = try end.read(upTo: 65536)
            if part.isEmpty { return result }
            result.append(contentsOf: part.prefix(limit - result.count))
        }
    }

    private static func supply(_ end: FileDescriptor, _ input: [UInt8]) async throws {
        try end.setNonBlocking(true)
        var rest = input[...]
        while !rest.isEmpty {
            // A socket instead of a pipe: a child that has stopped reading must not end us by SIGPIPE.
            let count = rest.withUnsafeBytes {
                apus_send_fds(end.rawValue, $0.baseAddress, $0.count, nil, 0, 0)
            }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0, errno == EAGAIN {
                try await end.writable()
            } else if count < 0, errno != EINTR {
                break
            }
        }
        end.close()
    }
}
