/// How to take back what a command has done so far, for when a later step fails.
package struct Undo {
    private var steps: [@Sendable () async throws -> Void] = []

    package init() {}

    /// Remembers how to take back a step that has just been done.
    package mutating func add(_ step: @escaping @Sendable () async throws -> Void) { steps.append(step) }

    /// Takes all steps back, the last one first. Returns what could not be taken back.
    package mutating func run() async -> [any Error] {
        var failures: [any Error] = []
        while let step = steps.popLast() {
            do {
                try await step()
            } catch {
                failures.append(error)
            }
        }
        return failures
    }
}
