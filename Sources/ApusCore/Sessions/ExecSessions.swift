public import ApusAPI
import ContainerRuntime
import Glibc
import LinuxSystem

extension ContainerService {
    /// How long a client may take to connect its websockets.
    static let connectTimeout: Duration = .seconds(10)

    /// Runs a command in a container.
    public func exec(_ name: String, _ post: ExecPost) throws -> ApusAPI.Operation {
        let live = try sessionTarget(name)
        guard let command = post.command.first, !command.isEmpty else {
            throw ServiceError.badRequest("Say which command to run")
        }
        for text in post.command + post.environment.flatMap({ [$0.key, $0.value] }) + [post.cwd]
        where text.utf8.contains(0) {
            throw ServiceError.badRequest("A command, its environment and directory cannot have zero bytes")
        }
        guard post.user >= 0, post.group >= 0, post.user <= UInt32.max - 1, post.group <= UInt32.max - 1
        else {
            throw ServiceError.badRequest("User and group must be ids of the container")
        }
        let description = "Executing command"
        guard post.waitForWebsocket else { return recordedExec(name, live, post, description) }
        let session = ClientSession(interactive: post.interactive)
        let sockets = SocketSet(names: session.socketNames) { name, socket in await session.run(name, socket)
        }
        let registry = sessions
        return context.operations.start(
            description, resources: ["instances": [name]], metadata: Self.metadata(post), sockets: sockets,
            mayCancel: true, cancel: { session.hangUp() }
        ) { _ in
            let number = await registry.add(session, of: name)
            let code = await session.execute(Self.request(post), live)
            await registry.remove(number, of: name)
            return ["return": .int(Int64(code))]
        }
    }

    /// The running generation for a session; refused while the container is about to go away.
    func sessionTarget(_ name: String) throws -> LiveContainer {
        let live = try live(name)
        guard try !entry(name).record.frozen else {
            throw ServiceError.badRequest("The instance is frozen; unfreeze it first")
        }
        if let action = context.locks.action(of: name), action.hasPrefix("stop") || action.hasPrefix("restor")
        {
            throw ServiceError.conflict(
                "Instance \"\(name)\" is busy: \(action). Try again when that is done")
        }
        return live
    }

    /// Without websockets: no input, the output goes into log files or nowhere.
    private func recordedExec(
        _ name: String, _ live: LiveContainer, _ post: ExecPost, _ description: String
    ) -> ApusAPI.Operation {
        let id = RandomID.uuid()
        let directory = context.directory.logs(name)
        var metadata = Self.metadata(post)
        if post.recordOutput {
            metadata["output"] = [
                "1": .string("/1.0/instances/\(name)/logs/exec_\(id).stdout"),
                "2": .string("/1.0/instances/\(name)/logs/exec_\(id).stderr"),
            ]
        }
        return context.operations.start(
            description, resources: ["instances": [name]], metadata: metadata, isSession: true
        ) { _ in
            func sink(_ suffix: String) throws -> FileDescriptor {
                guard post.recordOutput else { return try .open("/dev/null", O_WRONLY) }
                try Files.makeDirectories(directory, mode: 0o700)
                return try .open(
                    "\(directory)/exec_\(id).\(suffix)", O_WRONLY | O_CREAT | O_EXCL | O_APPEND, mode: 0o600)
            }
            var request = Self.request(post)
            request.io = .streams(
                input: try .open("/dev/null", O_RDONLY), output: try sink("stdout"), error: try sink("stderr")
            )
            do {
                let session = try await live.connection.exec(request)
                return ["return": .int(Int64(try await session.exitStatus().shellCode))]
            } catch let failure as ExecFailure {
                return ["return": .int(Int64(failure.shellCode))]
            }
        }
    }

    private static func metadata(_ post: ExecPost) -> [String: JSONValue] {
        [
            "command": .array(post.command.map { .string($0) }), "interactive": .bool(post.interactive),
            "environment": .object(post.environment.mapValues { .string($0) }),
        ]
    }

    private static func request(_ post: ExecPost) -> ExecRequest {
        func dimension(_ value: Int, _ usual: UInt16) -> UInt16 {
            value > 0 ? UInt16(clamping: value) : usual
        }
        var request = ExecRequest(
            post.command,
            io: .terminal(rows: dimension(post.height, 24), columns: dimension(post.width, 80)))
        request.environment = post.environment
        let defaults = [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
        ]
        request.environment.merge(defaults) { given, _ in given }
        if post.user == 0 {
            request.environment.merge(["HOME": "/root", "USER": "root"]) { given, _ in given }
        }
        request.uid = UInt32(post.user)
        request.gid = UInt32(post.group)
        request.directory = post.cwd.isEmpty ? nil : post.cwd
        return request
    }
}
