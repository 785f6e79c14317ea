internal import Dispatch
internal import Glibc
internal import LinuxSystem
internal import Synchronization

/// The asynchronous face of CRIU: a thread of its own waits for CRIU, so that no task of the caller blocks.
public struct CRIUService: Sendable {
    /// Is called for each notification; CRIU waits until it returns. Throwing refuses what CRIU announced.
    public typealias Handler = @Sendable (CRIUNotification) async throws -> Void

    /// The CRIU that is used.
    public let installation: CRIUInstallation
    /// How it is started.
    public var launch: CRIULaunch

    /// Makes a face of an installed CRIU.
    public init(_ installation: CRIUInstallation, launch: CRIULaunch = CRIULaunch()) {
        self.installation = installation
        self.launch = launch
    }

    /// Stops a tree of tasks and saves it. Cancelling the task kills CRIU; the caller must then resume the
    /// tasks. With a page socket in the launch settings that is shut down first, which CRIU takes for a reason to give
    /// up in good order.
    public func dump(
        _ options: CRIUDumpOptions, guardedBy guardian: CRIUGuard? = nil,
        onNotification handler: @escaping Handler = { _ in }
    ) async throws -> CRIUDumpStatistics {
        try await run { session, criu in
            try session.dump(options, guardedBy: guardian) { notification in
                try criu.serve(notification, handler)
            }
        }
    }

    /// Brings a saved tree of tasks back and returns its first process.
    public func restore(
        _ options: CRIURestoreOptions, onNotification handler: @escaping Handler = { _ in }
    ) async throws -> (pid: Int32, statistics: CRIURestoreStatistics?) {
        try await run { session, criu in
            try session.restore(options) { notification in try criu.serve(notification, handler) }
        }
    }

    /// Asks CRIU for its version.
    public func version() async throws -> CRIUVersion {
        try await run { session, _ in try session.version() }
    }

    /// Asks what CRIU and the kernel can do together.
    public func features() async throws -> CRIUFeatures {
        try await run { session, _ in try session.features() }
    }

    /// Runs a session in a thread of its own.
    private func run<Value: Sendable>(
        _ body: @escaping @Sendable (CRIUSession, RunningCRIU) throws -> Value
    ) async throws -> Value {
        let criu = RunningCRIU(pageSocket: launch.pageSocket)
        let installation = installation
        let launch = launch
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                inDetachedThread {
                    continuation.resume(
                        with: Result {
                            let session = try CRIUSession(installation, launch: launch)
                            try criu.started(session.process)
                            return try body(session, criu)
                        })
                }
            }
        } onCancel: {
            criu.cancel()
        }
    }
}

/// The CRIU process of a session, for whoever wants to end it from outside.
private final class RunningCRIU: Sendable {
    private struct State {
        var cancelled = false
        var process: ProcessDescriptor?
        var handler: Task<Void, Never>?
    }

    private let state = Mutex(State())
    private let pageSocket: FileDescriptor?
    /// How long a CRIU whose page socket was shut down may take to give up.
    private static let grace = Duration.seconds(5)

    init(pageSocket: FileDescriptor?) { self.pageSocket = pageSocket }

    /// CRIU runs; throws if it is no longer wanted.
    func started(_ process: ProcessDescriptor) throws {
        let cancelled = state.withLock { state in
            state.process = process
            return state.cancelled
        }
        if cancelled { throw CancellationError() }
    }

    /// Blocks CRIU's thread until the caller's asynchronous handler is done.
    func serve(_ notification: CRIUNotification, _ handler: @escaping CRIUService.Handler) throws {
        let done = DispatchSemaphore(value: 0)
        let failure = Guarded<(any Error)?>(nil)
        let task = Task {
            do { try await handler(notification) } catch { failure.set(error) }
            done.signal()
        }
        let cancelled = state.withLock { state in
            state.handler = task
            return state.cancelled
        }
        if cancelled { task.cancel() }
        done.wait()
        if let error = failure.get() { throw error }
    }

    /// Ends CRIU, now or as soon as it starts, and tells a handler that is at work.
    func cancel() {
        let process = state.withLock { state in
            state.cancelled = true
            state.handler?.cancel()
            return state.process
        }
        guard let pageSocket, pageSocket.isOpen else {
            _ = process?.signal(SIGKILL)
            return
        }
        _ = shutdown(pageSocket.rawValue, Int32(SHUT_RDWR))
        guard let process else { return }
        Task.detached {
            if (try? await process.waitForEnd(milliseconds: Int(Self.grace / .milliseconds(1)))) == false {
                process.signal(SIGKILL)
            }
        }
    }
}

/// A value shared between a thread and a task.
private final class Guarded<Value: Sendable>: Sendable {
    private let value: Mutex<Value>
    init(_ value: Value) { self.value = Mutex(value) }
    func set(_ new: Value) { value.withLock { $0 = new } }
    func get() -> Value { value.withLock { $0 } }
}

/// Starts `body` in a thread of its own and does not wait.
func inDetachedThread(_ body: @escaping @Sendable () -> Void) {
    DispatchQueue(label: "criu").async { body() }
}
