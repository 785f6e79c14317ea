import Glibc
import LinuxSystem

/// Runs something in a thread that ends afterwards: what it changes for its thread ends with it.
enum OwnThread {
    /// Waits for the result.
    static func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
        try start(body).wait()
    }

    /// Begins; wait for it once.
    static func start<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) throws -> Running<Value> {
        let work = Work { Result(catching: body) }
        var thread = pthread_t()
        let context = Unmanaged.passRetained(work)
        let code = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<AnyWork>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            }, context.toOpaque())
        guard code == 0 else {
            context.release()
            throw SystemError(call: "pthread_create", errno: code, context: "make a thread")
        }
        return Running(thread: thread, work: work)
    }

    /// A thread under way.
    struct Running<Value: Sendable> {
        fileprivate let thread: pthread_t
        fileprivate let work: Work<Value>

        /// Waits for its end, and gives its result.
        func wait() throws -> Value {
            pthread_join(thread, nil)
            guard let result = work.result else {
                throw SystemError(call: "pthread_join", errno: EIO, context: "get the result of a thread")
            }
            return try result.get()
        }
    }

    fileprivate class AnyWork { func run() {} }

    fileprivate final class Work<Value: Sendable>: AnyWork {
        let body: () -> Result<Value, any Error>
        var result: Result<Value, any Error>?
        init(_ body: @escaping () -> Result<Value, any Error>) { self.body = body }
        override func run() { result = body() }
    }
}
