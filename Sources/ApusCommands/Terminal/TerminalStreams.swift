import ApusAPI
package import ApusClient
import Glibc
import NIOCore

/// Joins this program's own streams, terminal and signals to a session in a container.
package struct TerminalStreams: Sendable {
    /// The streams, ready to be carried.
    package let session: SessionStreams

    /// Signals that are the command's affair, not this program's.
    static let forwarded = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]

    /// Makes the terminal raw if that is asked for and it is one.
    package init(input: Int32?, interactive: Bool, raw: Bool, detachable: Bool = false) {
        if raw, Terminal.isTerminal(STDIN_FILENO) { Terminal.makeRaw(STDIN_FILENO) }
        let output = OutputWriter(STDOUT_FILENO)
        let errors = OutputWriter(STDERR_FILENO)
        session = SessionStreams(
            input: Self.reader(input, detachable: detachable),
            output: { try await output.write($0) }, errors: { try await errors.write($0) },
            control: { Self.control(interactive: interactive) })
    }

    /// Signals and sizes as messages. Until the session is there to take them, signals end this program as usual.
    private static func control(interactive: Bool) -> AsyncStream<ExecControl> {
        let signals = Signals(forwarded + (interactive ? [SIGWINCH] : []))
        return AsyncStream<ExecControl> { continuation in
            let task = Task {
                for await number in signals.stream {
                    if number == SIGWINCH {
                        guard let size = Terminal.size(STDOUT_FILENO) ?? Terminal.size(STDIN_FILENO) else {
                            continue
                        }
                        continuation.yield(.resize(width: size.width, height: size.height))
                    } else {
                        continuation.yield(.signal(Int(number)))
                    }
                }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    private static func reader(_ input: Int32?, detachable: Bool) -> @Sendable () async throws -> ByteBuffer?
    {
        guard let input else { return { nil } }
        let reader = InputReader(input)
        guard detachable else { return { try await reader.next() } }
        let detach = DetachableInput(reader)
        return { try await detach.next() }
    }
}

/// Console input that ends at the detach key.
private actor DetachableInput {
    private let reader: InputReader
    private var key = DetachKey()
    private var ended = false

    init(_ reader: InputReader) { self.reader = reader }

    func next() async throws -> ByteBuffer? {
        while !ended, let bytes = try await reader.next() {
            let (pass, detach) = key.filter(bytes.readableBytesView)
            ended = detach
            if !pass.isEmpty { return ByteBuffer(bytes: pass) }
        }
        return nil
    }
}
