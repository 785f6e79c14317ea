public import ApusAPI
import NIOHTTP1

extension Client {
    /// Reports of how far an operation is.
    public typealias ProgressHandler = @Sendable (OperationProgress) async -> Void

    /// Waits for the end of an operation, and reports its progress if it takes longer than a blink.
    ///
    /// Short operations cost one request. Only those that go on get the event stream opened.
    /// Throws the operation's own words if it failed or was cancelled.
    @discardableResult
    public func wait(
        for operation: ApusAPI.Operation, after patience: Duration = .milliseconds(150),
        progress: ProgressHandler? = nil
    ) async throws -> ApusAPI.Operation {
        let ended = try await waitForEnd(of: operation, after: patience, progress: progress)
        switch ended.state {
        case .success:
            return ended
        case .cancelled:
            throw ClientError(
                .operationCancelled, ended.err.isEmpty ? "the operation was cancelled" : ended.err)
        default:
            throw ClientError(.operationFailed, ended.err.isEmpty ? "the operation failed" : ended.err)
        }
    }

    /// Waits for the end of an operation, whatever it is.
    public func waitForEnd(
        of operation: ApusAPI.Operation, after patience: Duration = .milliseconds(150),
        progress: ProgressHandler? = nil
    ) async throws -> ApusAPI.Operation {
        if operation.state.isFinal { return operation }
        let path = "/1.0/operations/\(operation.id)/wait"
        guard let progress else { return try await get(path) }
        return try await withThrowingTaskGroup(of: ApusAPI.Operation?.self) { tasks in
            tasks.addTask { try await get(path) }
            tasks.addTask {
                do {
                    try await Task.sleep(for: patience)
                    try await report(operation.id, to: progress)
                } catch {
                    // Progress is a courtesy: without it the wait goes on.
                }
                return nil
            }
            defer { tasks.cancelAll() }
            while let result = try await tasks.next() {
                if let ended = result { return ended }
            }
            throw ClientError(.broken, "the wait for operation \(operation.id) ended without an answer")
        }
    }

    /// Hands on the progress of an operation until it ends.
    private func report(_ id: String, to progress: @escaping ProgressHandler) async throws {
        try await events(types: ["operation"]) { events in
            // What was said before the stream was open.
            let present: ApusAPI.Operation = try await get("/1.0/operations/\(id)")
            if let now = present.progress { await progress(now) }
            if present.state.isFinal { return }
            for try await event in events {
                guard event.metadata?["id"]?.stringValue == id else { continue }
                if let now = event.metadata?["metadata"].flatMap(OperationProgress.init(metadata:)) {
                    await progress(now)
                }
            }
        }
    }

    /// All operations that the daemon knows.
    public func operations() async throws -> [ApusAPI.Operation] {
        let groups: [String: [ApusAPI.Operation]] = try await get(
            "/1.0/operations", query: [("recursion", "1")])
        return groups.values.flatMap { $0 }.sorted { $0.createdAt < $1.createdAt }
    }

    /// One operation.
    public func operation(_ id: String) async throws -> ApusAPI.Operation {
        try await get("/1.0/operations/\(id.percentEncoded)")
    }

    /// Asks an operation to stop.
    public func cancelOperation(_ id: String) async throws {
        try await send(.DELETE, "/1.0/operations/\(id.percentEncoded)")
    }
}

extension ApusAPI.Operation {
    /// How far it is, if it says so.
    public var progress: OperationProgress? { metadata.flatMap(OperationProgress.init(metadata:)) }
}

extension OperationProgress {
    /// The progress in an operation's metadata; nil if there is none.
    public init?(metadata: JSONValue) {
        guard let value = metadata["apus_work"], let stage = value["stage"]?.stringValue else {
            return nil
        }
        self.init(stage: stage, percent: value["percent"]?.intValue.flatMap { Int(exactly: $0) })
        bytesDone = value["bytes_done"]?.intValue
        bytesTotal = value["bytes_total"]?.intValue
    }
}
