public import ApusAPI
import ContainerRuntime
import Foundation
import LinuxSystem
import Synchronization

extension ContainerService {
    /// Attaches a client to a container's console.
    public func console(_ name: String, _ post: ConsolePost) throws -> ApusAPI.Operation {
        guard post.type.isEmpty || post.type == "console" else {
            throw ServiceError.badRequest(
                "Unknown console type \"\(post.type)\"; containers have \"console\"")
        }
        let live = try sessionTarget(name)
        let session = ConsoleSession(live: live, width: post.width, height: post.height)
        let sockets = SocketSet(names: ["0", "control"]) { name, socket in await session.run(name, socket) }
        let registry = sessions
        return context.operations.start(
            "Showing console", resources: ["instances": [name]], sockets: sockets, mayCancel: true,
            cancel: { session.hangUp() }
        ) { _ in
            let number = await registry.add(session, of: name)
            try await session.serve()
            await registry.remove(number, of: name)
            return nil
        }
    }

    /// What a container's console has printed.
    public func consoleLog(_ name: String) async throws -> [UInt8] {
        if let live = try entry(name).live, let bytes = try? await live.connection.consoleScrollback() {
            return bytes
        }
        return (try? Files.bytes(context.directory.logs(name) + "/console.log")) ?? []
    }

    /// Empties the console's log file.
    public func clearConsoleLog(_ name: String) throws {
        _ = try entry(name)
        let path = context.directory.logs(name) + "/console.log"
        if Files.exists(path) { try Files.write(path, "", mode: 0o600) }
        try removeTree(path + ".old")
    }
}

/// A client attached to a container's console, until it leaves or the container ends.
final class ConsoleSession: Session {
    private struct State {
        var socket: (any MessageSocket)?
        var stream: FileDescriptor?
    }
    private let live: LiveContainer
    private let width: Int
    private let height: Int
    private let state = Mutex(State())
    private let connected = Occurrence()
    private let ended = Occurrence()

    init(live: LiveContainer, width: Int, height: Int) {
        self.live = live
        self.width = width
        self.height = height
    }

    /// Lasts as long as the session.
    func serve() async throws {
        guard await connected.wait(ContainerService.connectTimeout) else {
            ended.happen()
            throw ServiceError.failure("Nobody connected to the console in time")
        }
        _ = await ended.wait()
    }

    func run(_ name: String, _ socket: any MessageSocket) async {
        if name == "control" {
            await control(socket)
        } else {
            await terminal(socket)
            ended.happen()
        }
    }

    private func terminal(_ socket: any MessageSocket) async {
        do {
            let attachment = try await live.connection.attachConsole()
            state.withLock { state in
                state.socket = socket
                state.stream = attachment.stream
            }
            connected.happen()
            await resize(width: width, height: height)
            try await socket.send(attachment.scrollback)
            await withTaskGroup(of: Void.self) { group in
                group.addTask { try? await StreamPump.send(from: attachment.stream, to: socket) }
                group.addTask { try? await StreamPump.receive(from: socket, into: attachment.stream) }
                group.addTask { _ = await self.ended.wait() }
                await group.next()
                group.cancelAll()
            }
            attachment.stream.close()
        } catch {
            connected.happen()
            try? await socket.send(Array("apus: \(ServiceError.text(of: error))\r\n".utf8))
        }
        try? await socket.sendEnd()
    }

    private func control(_ socket: any MessageSocket) async {
        while let message = try? await socket.receive() {
            guard case .text(let text) = message,
                let control = try? APIJSON.decode(ExecControl.self, from: Data(text.utf8)),
                control.command == "window-resize", let width = control.args["width"].flatMap({ Int($0) }),
                let height = control.args["height"].flatMap({ Int($0) })
            else { continue }
            await resize(width: width, height: height)
        }
    }

    private func resize(width: Int, height: Int) async {
        guard width > 0, height > 0 else { return }
        try? await live.connection.resizeConsole(
            rows: UInt16(clamping: height), columns: UInt16(clamping: width))
    }

    func hangUp() {
        ended.happen()
        state.withLock { $0.stream }?.close()
    }

    func end(why: String) async {
        let socket = state.withLock { $0.socket }
        try? await socket?.send(Array("\r\napus: \(why)\r\n".utf8))
        hangUp()
    }
}
