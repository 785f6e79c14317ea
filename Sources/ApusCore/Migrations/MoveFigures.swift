import ApusAPI
import Migration
import Synchronization

/// What a move has measured, for its operation's metadata. Times in microseconds, sizes in bytes.
final class MoveFigures: Sendable {
    private struct State {
        var numbers: [String: Int64] = [:]
        var words: [String: String] = [:]
        var passes: [JSONValue] = []
    }

    private let state = Mutex(State())
    private let began = ContinuousClock.now

    /// Sets a figure.
    func set(_ name: String, _ value: Int64) { state.withLock { $0.numbers[name] = value } }

    /// Notes how memory moves, and why.
    func set(_ memory: MoveMemory, because reason: String) {
        state.withLock { $0.words = ["memory": memory.rawValue, "memory_reason": reason] }
    }

    /// Adds to a figure.
    func add(_ name: String, _ value: Int) { state.withLock { $0.numbers[name, default: 0] += Int64(value) } }

    /// A figure; 0 if it is not known.
    func value(_ name: String) -> Int64 { state.withLock { $0.numbers[name] ?? 0 } }

    /// Notes a pass over the files.
    func pass(bytes: UInt64, entries: Int, isLast: Bool) {
        state.withLock {
            $0.passes.append([
                "bytes": .int(Int64(clamping: bytes)), "entries": .int(Int64(entries)),
                "frozen": .bool(isLast),
            ])
        }
    }

    /// Microseconds since the move began.
    var elapsed: Int64 { (ContinuousClock.now - began).microseconds }

    /// All of it.
    var json: JSONValue {
        state.withLock { state in
            var members = state.numbers.mapValues { JSONValue.int($0) }
            members.merge(state.words.mapValues { .string($0) }) { $1 }
            members["passes"] = .array(state.passes)
            return .object(members)
        }
    }
}

extension Duration {
    /// Whole microseconds.
    var microseconds: Int64 { components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000 }
}
