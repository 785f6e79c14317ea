/// Lets one task at a time through, in the order they came.
actor TurnTaking {
    private var last: Task<Void, Never>?

    /// Runs `body` when all that came before have ended.
    func take<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let before = last
        let mine = Task {
            await before?.value
            return try await body()
        }
        last = Task { _ = await mine.result }
        return try await mine.value
    }
}
