import Dispatch
import Glibc
import Synchronization

/// Work on many small things by all processors at once.
public enum Parallel {
    /// What `body` makes of each item, in order; the first error is thrown. Blocks its thread: for work of
    /// some milliseconds.
    public static func map<Item: Sendable, Value: Sendable, Failure: Error>(
        _ items: [Item], _ body: @Sendable (Item) throws(Failure) -> Value
    ) throws(Failure) -> [Value] {
        let parts = min(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))), items.count / fewest)
        guard parts > 1 else { return try items.map(body) }
        let results = Mutex<[Int: Result<[Value], Failure>]>([:])
        DispatchQueue.concurrentPerform(iterations: parts) { part in
            let range = (items.count * part / parts)..<(items.count * (part + 1) / parts)
            let result = Result { () throws(Failure) in try items[range].map(body) }
            results.withLock { $0[part] = result }
        }
        var values: [Value] = []
        for (_, result) in results.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
            values += try result.get()
        }
        return values
    }

    /// With fewer items another thread is not worth waking.
    private static let fewest = 4
}
