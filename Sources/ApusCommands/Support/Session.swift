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
}

/// What a command works with: the daemon, and a place to write to.
package struct Session: Sendable {
    /// The daemon.
    package let client: Client
    /// Where results go.
    package let output: Output

    /// A session with the daemon of `APUS_DIR`. Nothing is connected yet.
    package init(quiet: Bool = false, client: Client = Client()) {
        self.client = client
        output = Output(quiet: quiet)
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
                    + "see it with: apus operation show \(operation.id)\n", to: STDERR_FILENO)
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
