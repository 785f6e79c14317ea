public import ApusAPI
import Foundation
public import NIOCore
import NIOHTTP1

/// The client's end of a command's streams.
public struct SessionStreams: Sendable {
    /// Gives what the command shall read; nil ends its input. Must return when its task is cancelled.
    public var input: @Sendable () async throws -> ByteBuffer?
    /// Takes what the command writes (with a terminal: everything it shows).
    public var output: @Sendable (ByteBuffer) async throws -> Void
    /// Takes what the command writes to its standard error.
    public var errors: @Sendable (ByteBuffer) async throws -> Void
    /// Begins to give signals and new terminal sizes to send. Called when the daemon has begun the session.
    public var control: @Sendable () -> AsyncStream<ExecControl>

    /// Streams.
    public init(
        input: @escaping @Sendable () async throws -> ByteBuffer?,
        output: @escaping @Sendable (ByteBuffer) async throws -> Void,
        errors: @escaping @Sendable (ByteBuffer) async throws -> Void,
        control: @escaping @Sendable () -> AsyncStream<ExecControl> = { AsyncStream { $0.finish() } }
    ) {
        self.input = input
        self.output = output
        self.errors = errors
        self.control = control
    }
}

extension Client {
    /// Runs a command in a container, carries its streams, and gives its exit code as a shell would.
    public func exec(_ post: ExecPost, in container: String, streams: SessionStreams) async throws -> Int32 {
        var post = post
        post.waitForWebsocket = true
        let operation = try await begin(.POST, Self.path(container, "/exec"), post)
        let ended = try await session(operation, interactive: post.interactive, streams: streams)
        if let code = ended.metadata?["return"]?.intValue, let code = Int32(exactly: code) { return code }
        if ended.state == .success { return 0 }
        throw ClientError(.operationFailed, ended.err.isEmpty ? "the command could not be run" : ended.err)
    }

    /// Connects to a container's console until it ends or `streams.input` does.
    public func console(_ post: ConsolePost, of container: String, streams: SessionStreams) async throws {
        let operation = try await begin(.POST, Self.path(container, "/console"), post)
        let ended = try await session(operation, interactive: true, endsWithInput: true, streams: streams)
        if ended.state == .failure {
            throw ClientError(.operationFailed, ended.err.isEmpty ? "the console ended" : ended.err)
        }
    }

    private enum Stream: Sendable {
        case outputDone
        case inputDone
    }

    private enum Part: Sendable {
        case ended(ApusAPI.Operation)
        case done(Stream)
        case broke(Stream, ClientError)
    }

    /// Carries the websockets of an operation until it has ended and all output is through.
    private func session(
        _ operation: ApusAPI.Operation, interactive: Bool, endsWithInput: Bool = false,
        streams: SessionStreams
    ) async throws -> ApusAPI.Operation {
        let path = "/1.0/operations/\(operation.id)/websocket"
        @Sendable func connect(
            _ name: String, _ body: @escaping @Sendable (WebSocket) async throws -> Void
        ) async throws {
            guard let secret = operation.metadata?["fds"]?[name]?.stringValue else {
                throw ClientError(.broken, "apusd offers no stream \"\(name)\" for the command")
            }
            try await webSocket(path, query: [("secret", secret)], body: body)
        }
        return try await withThrowingTaskGroup(of: Part.self) { tasks in
            defer { tasks.cancelAll() }
            tasks.addTask { .ended(try await waitForEnd(of: operation)) }
            tasks.addTask {
                try await Self.part(.inputDone) {
                    let control = streams.control()
                    // Most commands end without a signal: connected when there is something to say.
                    for await first in control {
                        return try await connect("control") { socket in
                            try await Self.carry(first, then: control, to: socket)
                        }
                    }
                }
            }
            var outputs = interactive ? 1 : 2
            if interactive {
                tasks.addTask {
                    try await Self.part(.outputDone) {
                        try await connect("0") { socket in
                            try await Self.converse(socket, streams, endsWithInput: endsWithInput)
                        }
                    }
                }
            } else {
                tasks.addTask {
                    try await Self.part(.inputDone) {
                        try await connect("0") { try await Self.carryInput(streams, to: $0) }
                    }
                }
                tasks.addTask {
                    try await Self.part(.outputDone) {
                        try await connect("1") { try await Self.carry($0, to: streams.output) }
                    }
                }
                tasks.addTask {
                    try await Self.part(.outputDone) {
                        try await connect("2") { try await Self.carry($0, to: streams.errors) }
                    }
                }
            }
            var result: ApusAPI.Operation?
            var trouble: ClientError?
            while let part = try await tasks.next() {
                switch part {
                case .ended(let operation): result = operation
                case .done(.outputDone):
                    outputs -= 1
                    if endsWithInput { return result ?? operation }
                case .done(.inputDone): continue
                case .broke(.outputDone, let error):
                    // The end of the operation tells why, if it has something to tell.
                    trouble = trouble ?? error
                    outputs -= 1
                case .broke:
                    // A command need not read its input, nor be there still when a signal comes.
                    continue
                }
                if let result, outputs <= 0 {
                    // A command that failed has told enough; one that succeeded must not lose its output in silence.
                    if let trouble, result.state == .success, result.metadata?["return"]?.intValue ?? 0 == 0 {
                        throw trouble
                    }
                    return result
                }
            }
            throw trouble ?? ClientError(.broken, "the session ended without a result")
        }
    }

    /// Runs one stream. Trouble with the connection is a part of the result; trouble of the caller's is thrown.
    private static func part(_ stream: Stream, _ body: () async throws -> Void) async throws -> Part {
        do {
            try await body()
            return .done(stream)
        } catch is CancellationError {
            return .done(stream)
        } catch let error as ClientError {
            return .broke(stream, error)
        }
    }
}
