import ApusAPI
import ContainerRuntime
import Foundation
import Glibc
import LinuxSystem
import Synchronization

/// One command run for a client, with websockets for its streams: "0" (and "1", "2" without a terminal), "control".
///
/// The command starts before the client has connected: what it prints waits in the pipes.
final class ClientSession: Session {
    private struct State {
        /// Those that are connected now, and those that ever were.
        var sockets: [String: any MessageSocket] = [:]
        var seen: Set<String> = []
        var running: ExecSession?
        /// Our ends of the command's streams, by socket name.
        var streams: [String: FileDescriptor] = [:]
        var hungUp = false
    }

    private let interactive: Bool
    private let state = Mutex(State())
    /// The streams exist, or never will.
    private let started = Occurrence()
    private let connected = Occurrence()
    /// The command has ended.
    private let exited = Occurrence()
    /// Output sockets have sent all there was.
    private let flushed: [String: Occurrence]

    init(interactive: Bool) {
        self.interactive = interactive
        flushed = Dictionary(
            uniqueKeysWithValues: (interactive ? ["0"] : ["1", "2"]).map { ($0, Occurrence()) })
    }

    private var streamNames: [String] { interactive ? ["0"] : ["0", "1", "2"] }
    var socketNames: [String] { streamNames + ["control"] }

    // MARK: The command's side

    /// Runs the command to its end; returns its exit code as a shell has it.
    func execute(_ request: ExecRequest, _ live: LiveContainer) async -> Int32 {
        let timer = Task {
            // A client that never comes must not leave a command waiting for ever.
            if await !connected.wait(ContainerService.connectTimeout), !Task.isCancelled { hangUp() }
        }
        defer { timer.cancel() }
        let code: Int32
        do {
            let session = try await begin(request, live)
            code = (try? await session.exitStatus().shellCode) ?? 128 + SIGHUP
        } catch let failure as ExecFailure {
            await complain(failure.message)
            code = failure.shellCode
        } catch {
            await complain(ServiceError.text(of: error))
            code = 126
        }
        exited.happen()
        for occurrence in flushed.values { await waitForOutput(occurrence) }
        // What the client still sends as input has no reader any more.
        state.withLock { $0.streams["0"] }?.close()
        return code
    }

    private func begin(_ request: ExecRequest, _ live: LiveContainer) async throws -> ExecSession {
        var request = request
        if interactive {
            let session = try await live.connection.exec(request)
            guard let terminal = session.terminal else {
                throw ServiceError.failure("The command was given no terminal")
            }
            keep(session, ["0": try terminal.duplicate()])
            return session
        }
        let input = try FileDescriptor.pipe()
        let output = try FileDescriptor.pipe()
        let error = try FileDescriptor.pipe()
        // The command's own user must be able to open /dev/stdin and the like again.
        let uid = live.spec.idmap.map { $0.hostUser(request.uid) ?? 0 } ?? request.uid
        let gid = live.spec.idmap.map { $0.hostGroup(request.gid) ?? 0 } ?? request.gid
        for end in [input.read, output.write, error.write] { fchown(end.rawValue, uid, gid) }
        request.io = .streams(input: input.read, output: output.write, error: error.write)
        let session = try await live.connection.exec(request)
        for end in [input.read, output.write, error.write] { end.close() }
        keep(session, ["0": input.write, "1": output.read, "2": error.read])
        return session
    }

    private func keep(_ session: ExecSession, _ streams: [String: FileDescriptor]) {
        let gone = state.withLock { state in
            state.running = session
            state.streams = streams
            return state.hungUp
        }
        started.happen()
        if gone { hangUp() }
    }

    /// Says why there is no command, where its output would have been.
    private func complain(_ text: String) async {
        started.happen()
        _ = await connected.wait(ContainerService.connectTimeout)
        await say(text)
        for occurrence in flushed.values { occurrence.happen() }
    }

    /// Waits until all output has gone to the client. A process left behind may hold the pipe open: then what it
    /// writes after the command's end is not waited for.
    private func waitForOutput(_ occurrence: Occurrence) async {
        guard await connected.wait(ContainerService.connectTimeout) else { return }
        while await !occurrence.wait(.milliseconds(250)), !Task.isCancelled {
            let streams = state.withLock { $0.streams }
            let waiting = streams.filter { flushed[$0.key] != nil }.values.contains { stream in
                var count: Int32 = 0
                return ioctl(stream.rawValue, UInt(FIONREAD), &count) == 0 && count > 0
            }
            if !waiting { return }
        }
    }

    // MARK: The client's side

    /// Serves one connected websocket until its stream has ended.
    func run(_ name: String, _ socket: any MessageSocket) async {
        let all = state.withLock { state in
            state.sockets[name] = socket
            state.seen.insert(name)
            return state.seen.isSuperset(of: streamNames)
        }
        if all { connected.happen() }
        _ = await started.wait()
        let stream = state.withLock { $0.streams[name] }
        switch name {
        case "control":
            await control(socket)
        case "0" where interactive:
            await terminal(socket, stream)
        case "0":
            if let stream {
                try? await StreamPump.receive(from: socket, into: stream)
                stream.close()
            }
            await StreamPump.drain(socket)
        default:
            await output(name, socket, stream)
        }
        let alone = state.withLock { state in
            state.sockets[name] = nil
            return state.sockets.isEmpty && state.seen.isSuperset(of: streamNames)
        }
        // A client that has gone altogether leaves nobody to run the command for.
        if alone { hangUp() }
    }

    private func output(_ name: String, _ socket: any MessageSocket, _ stream: FileDescriptor?) async {
        let clientLeft = await withTaskGroup(of: Bool.self) { group in
            if let stream {
                group.addTask {
                    let sent: ()? = try? await StreamPump.send(from: stream, to: socket)
                    return sent == nil && !Task.isCancelled
                }
            }
            group.addTask {
                // The end of the command ends the stream too, once all there was is sent.
                _ = await self.exited.wait()
                if let occurrence = self.flushed[name], stream != nil { await self.waitForOutput(occurrence) }
                return false
            }
            if !interactive {
                group.addTask {
                    await StreamPump.drain(socket)
                    return !Task.isCancelled
                }
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
        // Nobody reads any more: the command notices when it writes.
        if clientLeft, !interactive { stream?.close() }
        try? await socket.sendEnd()
        flushed[name]?.happen()
    }

    private func terminal(_ socket: any MessageSocket, _ stream: FileDescriptor?) async {
        guard let stream else {
            _ = await exited.wait()
            try? await socket.sendEnd()
            flushed["0"]?.happen()
            return
        }
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                await self.output("0", socket, stream)
                return true
            }
            group.addTask {
                try? await StreamPump.receive(from: socket, into: stream)
                return false
            }
            // A client that has gone takes its terminal with it, as ssh does.
            if await group.next() == false, !(await exited.wait(.zero)) { hangUp() }
            group.cancelAll()
        }
    }

    private func control(_ socket: any MessageSocket) async {
        while let message = try? await socket.receive() {
            let json: Data
            switch message {
            case .text(let text): json = Data(text.utf8)
            case .data(let bytes, _): json = Data(bytes)
            case .end: continue
            }
            guard let control = try? APIJSON.decode(ExecControl.self, from: json) else { continue }
            let session = state.withLock { $0.running }
            switch control.command {
            case "window-resize":
                if let rows = control.args["height"].flatMap({ UInt16($0) }),
                    let columns = control.args["width"].flatMap({ UInt16($0) })
                {
                    try? session?.resize(rows: rows, columns: columns)
                }
            case "signal" where (1...64).contains(control.signal):
                try? session?.signal(Int32(control.signal))
            default: break
            }
        }
    }

    // MARK: Its end from outside

    /// Ends the command as a closed terminal would; without one, as LXD does, at once.
    func hangUp() {
        let (session, streams) = state.withLock { state in
            state.hungUp = true
            return (state.running, state.streams)
        }
        guard let session else { return }
        Self.hangUp(session, interactive: interactive, exited)
        for stream in streams.values { stream.close() }
    }

    private static func hangUp(_ session: ExecSession, interactive: Bool, _ exited: Occurrence) {
        // By signal, not by closing alone: whoever waits for the exit status keeps the connection open.
        try? session.signal(interactive ? SIGHUP : SIGKILL)
        guard interactive else { return }
        Task {
            if await !exited.wait(.seconds(2)) { try? session.signal(SIGKILL) }
        }
    }

    func end(why: String) async { await say("apus: " + why) }

    /// Shows a line where the user looks: on the terminal, or beside the command's errors.
    private func say(_ text: String) async {
        let socket = state.withLock { $0.sockets[interactive ? "0" : "2"] }
        try? await socket?.send(Array(((interactive ? "\r\n" + text + "\r\n" : text + "\n")).utf8))
    }
}
