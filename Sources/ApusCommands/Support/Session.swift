package import ApusAPI
package import ApusClient
import ArgumentParser
import Glibc

/// The flags that every command has.
package struct GlobalOptions: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Say nothing but results and errors: no progress, no remarks.")
    package var quiet = false

    package init() {}

    /// A session with the daemon on this machine.
    package var session: Session { Session(quiet: quiet) }

    /// A session with the daemon that a name on the command line is about: of its remote, or of the default one.
    package func session(of text: String?) throws -> Session {
        try session(on: text.map { ResourceName($0).remote } ?? Remotes.defaultName)
    }

    /// A session for a list with filters, the first of which may be or begin with a remote.
    func session(beforeFilters filters: [String]) throws -> (Session, filters: [String]) {
        guard let first = filters.first.map(ResourceName.init), first.hasRemote,
            KeyValue(argument: first.remote) == nil
        else { return (try session(of: nil), filters) }
        let rest = try filters.dropFirst().map { filter in
            KeyValue(argument: filter) == nil ? try ResourceName(filter).name(on: first.remote) : filter
        }
        return (try session(on: first.remote), first.name.isEmpty ? rest : [first.name] + rest)
    }

    /// A session for `apus config`, whose first word may also be a key of the daemon's own.
    func session(ofConfig word: String) throws -> Session {
        try session(of: Settings.isServerKey(word) ? nil : word)
    }

    /// A session for a command about an image, which may be on a server of images: such are asked for by the daemon of
    /// this machine.
    func session(ofImage text: String) throws -> (Session, ImageName) {
        let remote = ResourceName(text).remote
        let host = try Remotes.load().find(remote).isDaemon ? remote : ResourceName.localRemote
        return (try session(on: host), try ImageName(text, for: host))
    }

    /// A session with the daemon of a remote.
    package func session(on remote: String) throws -> Session {
        Session(quiet: quiet, client: try Remotes.client(of: remote), remote: remote)
    }

    /// Does something to each of several containers, on whichever hosts they are. See `Session.each`.
    func each(
        _ texts: [String], _ label: String,
        _ begin: @escaping @Sendable (Client, String) async throws -> ApusAPI.Operation
    ) async throws {
        try await each(try texts.map { try ContainerName($0) }, label, begin)
    }

    /// Does something to each of several containers, on whichever hosts they are. See `Session.each`.
    func each(
        _ names: [ContainerName], _ label: String,
        _ begin: @escaping @Sendable (Client, String) async throws -> ApusAPI.Operation
    ) async throws {
        var remotes: [String] = []
        for name in names where !remotes.contains(name.remote) { remotes.append(name.remote) }
        for remote in remotes {
            let session = try session(on: remote)
            try await session.each(names.filter { $0.remote == remote }.map(\.name), label) {
                try await begin(session.client, $0)
            }
        }
    }
}

/// What a command works with: the daemon, and a place to write to.
package struct Session: Sendable {
    /// The daemon.
    package let client: Client
    /// Where results go.
    package let output: Output
    /// The remote that the daemon belongs to.
    package let remote: String

    /// A session with a daemon, by default that of `APUS_DIR`. Nothing is connected yet.
    package init(
        quiet: Bool = false, client: Client = Client(), remote: String = ResourceName.localRemote
    ) {
        self.client = client
        self.remote = remote
        output = Output(quiet: quiet)
    }

    /// The name of something of this daemon, read from the command line. Another remote than the session's is refused.
    package func name(_ text: String) throws -> String { try ResourceName(text).name(on: remote) }

    /// A name as one has to write it for this session's daemon.
    package func qualified(_ name: String) -> String {
        remote == Remotes.defaultName ? name : "\(remote):\(name)"
    }

    /// Waits for an operation and shows its progress. Ctrl+C cancels it where that is possible.
    @discardableResult
    package func finish(_ operation: ApusAPI.Operation, _ label: String) async throws -> ApusAPI.Operation {
        let display = ProgressDisplay(label: label, quiet: output.quiet)
        let interrupts = Signals([SIGINT, SIGTERM])
        return try await withThrowingTaskGroup(of: ApusAPI.Operation?.self) { tasks in
            defer { tasks.cancelAll() }
            tasks.addTask {
                var report: Client.ProgressHandler?
                if let display { report = { await display.show($0) } }
                return try await client.wait(for: operation, progress: report)
            }
            tasks.addTask {
                for await number in interrupts.stream {
                    await display?.finish()
                    try await interrupt(operation, by: number)
                }
                return nil
            }
            do {
                while let result = try await tasks.next() {
                    guard let ended = result else { continue }
                    await display?.finish()
                    return ended
                }
            } catch {
                await display?.finish()
                throw error
            }
            throw Failure("the wait for \"\(operation.description)\" ended early")
        }
    }

    private func interrupt(_ operation: ApusAPI.Operation, by signal: Int32) async throws {
        let present = try await client.operation(operation.id)
        guard present.mayCancel else {
            Output.write(
                "\(operation.description) cannot be cancelled and goes on in the daemon; "
                    + "see it with: apus operation show \(qualified(operation.id))\n", to: STDERR_FILENO)
            throw ExitCode(128 + signal)
        }
        output.remark("Cancelling…")
        try await client.cancelOperation(operation.id)
    }

    /// Finishes an operation on each of several things at once; the first failure is thrown when all are done.
    package func each(
        _ names: [String], _ label: String,
        _ begin: @escaping @Sendable (String) async throws -> ApusAPI.Operation
    ) async throws {
        if names.count == 1, let name = names.first {
            try await finish(try await begin(name), "\(label) \(name)")
            return
        }
        let failures = await withTaskGroup(
            of: (String, any Error)?.self, returning: [(String, any Error)].self
        ) { tasks in
            for name in names {
                tasks.addTask {
                    do {
                        try await client.wait(for: try await begin(name))
                        return nil
                    } catch {
                        return (name, error)
                    }
                }
            }
            return await tasks.reduce(into: []) { failures, failure in
                if let failure { failures.append(failure) }
            }
        }
        guard !failures.isEmpty else { return }
        for (name, error) in failures.sorted(by: { $0.0 < $1.0 }) { Output.failure("\(name): \(error)") }
        throw ExitCode.failure
    }
}
