import FoundationEssentials
public import LinuxSystem

/// The way to a running container's runtime. Each call makes a connection of its own to the control socket,
/// so it may be used from many tasks at once; no thread is blocked.
public struct RuntimeConnection: Sendable {
    private let directory: String
    private let name: String

    /// The runtime of a generation. Nothing is asked yet.
    public init(spec: ContainerSpec) { self.init(name: spec.name, runtimeDirectory: spec.runtimeDirectory) }

    /// The runtime that lives in a runtime directory.
    public init(name: String, runtimeDirectory: String) {
        self.name = name
        directory = runtimeDirectory
    }

    /// How it is. Throws `.notRunning` if nobody answers.
    public func status() async throws -> RuntimeStatus {
        guard case .status(let status) = try await ask(.status).reply else { throw unexpected }
        return status
    }

    /// How it is, if it says so in time. Throws `.notRunning` if not: one that is still starting or restoring, or hangs.
    public func status(within limit: Duration) async throws -> RuntimeStatus {
        try await withThrowingTaskGroup(of: RuntimeStatus?.self) { group in
            group.addTask { try await status() }
            group.addTask {
                try await Task.sleep(for: limit)
                return nil
            }
            defer { group.cancelAll() }
            guard let status = try await group.next() ?? nil else {
                throw RuntimeError(
                    .notRunning, "the runtime of container \(name) has not answered for \(limit)")
            }
            return status
        }
    }

    /// Executes a program inside. Throws `ExecFailure` if it cannot be executed.
    public func exec(_ request: ExecRequest) async throws -> ExecSession {
        var message = ControlRequest.ExecMessage()
        message.command = request.command
        message.environment = request.environment.map { "\($0.key)=\($0.value)" }
        message.uid = request.uid
        message.gid = request.gid
        message.groups = request.groups
        message.directory = request.directory ?? ""
        var streams: [FileDescriptor] = []
        switch request.io {
        case .terminal(let rows, let columns):
            message.terminal = true
            message.rows = rows
            message.columns = columns
        case .streams(let input, let output, let error): streams = [input, output, error]
        }
        let answer = try await ask(.exec(message), descriptors: streams)
        switch answer.reply {
        case .started(let pid):
            return ExecSession(pid: pid, terminal: answer.descriptors.first, connection: answer.connection)
        case .execFailed(let code, let message): throw ExecFailure(shellCode: code, message: message)
        default: throw unexpected
        }
    }

    /// Attaches to the console: what it has printed so far, and a stream socket that is the console from now
    /// on. Close the socket to detach. Several may be attached at a time.
    public func attachConsole() async throws -> ConsoleAttachment {
        let answer = try await ask(.attachConsole)
        guard case .console(let bytes) = answer.reply, let stream = answer.descriptors.first else {
            throw unexpected
        }
        return ConsoleAttachment(scrollback: bytes, stream: stream)
    }

    /// What the console has printed: the last 128 KiB.
    public func consoleScrollback() async throws -> [UInt8] {
        guard case .console(let bytes) = try await ask(.consoleLog).reply else { throw unexpected }
        return bytes
    }

    /// Tells the console the size of the terminal that shows it.
    public func resizeConsole(rows: UInt16, columns: UInt16) async throws {
        _ = try await ask(.resizeConsole(rows: rows, columns: columns))
    }

    /// Asks init to shut the container down, in the way this init understands.
    public func stop() async throws { _ = try await ask(.stop) }

    /// Asks init to restart the container; it ends with `.rebootRequested`.
    public func reboot() async throws { _ = try await ask(.reboot) }

    /// Sends init a signal from outside. SIGKILL ends the container.
    public func signalInit(_ signal: Int32) async throws { _ = try await ask(.signalInit(signal)) }

    /// Hangs up every exec session and waits until their programs have gone.
    public func endSessions() async throws { _ = try await ask(.endSessions) }

    /// Waits until all memory of a container has come that was restored without (`PreparedRestore.restore`); for others
    /// that is at once. Throws `.refused` if it never will: the container has been ended then.
    public func memoryComplete() async throws { _ = try await ask(.awaitMemory) }

    /// Waits for the end of init; by then the runtime has removed its mount and cgroups. Nil if the runtime itself
    /// died without a word: then `RuntimeCleanup` has to follow. If the end has come before, it is told all the same.
    public func ended() async throws -> InitEnd? {
        do {
            let answer = try await ask(.watch)
            guard case .done = answer.reply else { throw unexpected }
            if let next = try await RuntimeConnection.next(on: answer.connection),
                case .ended(let end) = try ControlReply(decoding: next.bytes)
            {
                return end
            }
        } catch is SystemError {
        } catch let error as RuntimeError where error.code == .notRunning {
        }
        return lastStatus()?.end
    }

    /// What the runtime has last written about itself; it may have ended since.
    public func lastStatus() -> RuntimeStatus? {
        guard let bytes = try? Files.bytes(directory + "/status.json") else { return nil }
        return try? JSONDecoder().decode(RuntimeStatus.self, from: Data(bytes))
    }

    private struct Answer {
        var reply: ControlReply
        var descriptors: [FileDescriptor]
        var connection: FileDescriptor
    }

    private func ask(_ request: ControlRequest, descriptors: [FileDescriptor] = []) async throws -> Answer {
        let connection: FileDescriptor
        let message: SocketMessage?
        do {
            connection = try UnixSocket.connect(directory + "/control.sock", .seqpacket)
            try WireSocket.send(request.encoded(), on: connection, descriptors: descriptors)
            message = try await RuntimeConnection.next(on: connection)
        } catch is SystemError {
            throw RuntimeError(
                .notRunning, "the runtime of container \(name) does not answer; is it running?")
        }
        guard let message else {
            throw RuntimeError(.notRunning, "the runtime of container \(name) ended before it answered")
        }
        let reply = try ControlReply(decoding: message.bytes)
        if case .failed(let reason) = reply { throw RuntimeError(.refused, reason) }
        return Answer(reply: reply, descriptors: message.descriptors, connection: connection)
    }

    private var unexpected: RuntimeError {
        RuntimeError(
            .malformed, "the runtime of container \(name) gave an answer that does not fit the question")
    }

    fileprivate static func next(on connection: FileDescriptor) async throws -> SocketMessage? {
        try await connection.readable()
        return try WireSocket.receive(on: connection, wait: false)
    }
}

/// A program that runs inside a container. When the last reference to the session goes, it is hung up.
public final class ExecSession: Sendable {
    /// The process, as the host sees it.
    public let pid: Int32
    /// The master of its terminal, if it has one.
    public let terminal: FileDescriptor?
    private let connection: FileDescriptor

    init(pid: Int32, terminal: FileDescriptor?, connection: FileDescriptor) {
        self.pid = pid
        self.terminal = terminal
        self.connection = connection
    }

    /// Waits for its end; may be called once.
    public func exitStatus() async throws -> ExitStatus {
        let message: SocketMessage?
        do {
            message = try await RuntimeConnection.next(on: connection)
        } catch is SystemError {
            message = nil
        }
        guard let message else {
            throw RuntimeError(.notRunning, "the container's runtime ended while the program was running")
        }
        guard case .exited(let status) = try ControlReply(decoding: message.bytes) else {
            throw WireReader.malformed
        }
        return status
    }

    /// Sends a signal to the program and those of its process group.
    public func signal(_ signal: Int32) throws {
        try WireSocket.send(ControlRequest.signalSession(signal).encoded(), on: connection)
    }

    /// Tells the terminal its new size.
    public func resize(rows: UInt16, columns: UInt16) throws {
        try terminal?.setWindowSize(rows: rows, columns: columns)
    }

    /// Ends it as a closed terminal would.
    public func hangUp() {
        terminal?.close()
        connection.close()
    }
}

/// A view of a container's console.
public struct ConsoleAttachment: Sendable {
    /// What was printed before.
    public let scrollback: [UInt8]
    /// What is printed from now on, and what is typed.
    public let stream: FileDescriptor
}
