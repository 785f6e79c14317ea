internal import Glibc
internal import LinuxSystem
internal import Synchronization

/// Receives the memory pages of a dump elsewhere from a connected socket, and makes their image files: CRIU's page
/// server. Start it before anything is frozen; it waits for as long as nothing comes.
public final class CRIUPageReceiver: Sendable {
    /// What has come.
    public struct Received: Sendable, Hashable {
        /// Memory pages.
        public var pages: Int64
        /// The bytes of them.
        public var bytes: Int64
    }

    private struct State {
        var result: Result<Received, any Error>?
        var waiting: [CheckedContinuation<Received, any Error>] = []
    }

    private let socket: FileDescriptor
    private let state = Mutex(State())

    private init(socket: FileDescriptor) { self.socket = socket }

    /// Starts one; returns when it is ready.
    /// - Parameters:
    ///   - launch: how CRIU is started; its `pageSocket` belongs to the receiver from now on, and is closed with it.
    ///   - directory: where the image files go. A dump's other images have to be put there as well.
    ///   - logFile: the name of CRIU's log in `directory`.
    public static func start(
        _ criu: CRIUInstallation, launch: CRIULaunch, into directory: String, logFile: String
    ) async throws -> CRIUPageReceiver {
        guard let socket = launch.pageSocket else {
            throw CRIUError(.system, "cannot receive memory pages: there is no page socket")
        }
        let receiver = CRIUPageReceiver(socket: socket)
        try await withCheckedThrowingContinuation { (started: CheckedContinuation<Void, any Error>) in
            inDetachedThread {
                receiver.run(criu, launch, directory, logFile) { started.resume(with: $0) }
            }
        }
        return receiver
    }

    /// Waits for the last page. Cancelling the task ends the receiver.
    public func received() async throws -> Received {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result = state.withLock { state in
                    if state.result == nil { state.waiting.append(continuation) }
                    return state.result
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            cancel()
        }
    }

    /// Ends it: CRIU takes a socket that was shut down for the end of the other side.
    public func cancel() {
        if socket.isOpen { _ = shutdown(socket.rawValue, Int32(SHUT_RDWR)) }
    }

    private func run(
        _ criu: CRIUInstallation, _ launch: CRIULaunch, _ directory: String, _ logFile: String,
        _ started: (Result<Void, any Error>) -> Void
    ) {
        defer { socket.close() }
        let session: CRIUSession
        do {
            session = try CRIUSession(criu, launch: launch)
            try session.startPageServer(
                directory, options: CRIUCommonOptions(logFile: logFile, logLevel: .errors))
        } catch {
            return started(.failure(error))
        }
        started(.success(()))
        let result = Result {
            try session.waitForPageServer()
            return try Self.measure(directory)
        }
        socket.close()
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            state.result = result
            return state.waiting
        }
        for continuation in waiting { continuation.resume(with: result) }
    }

    private static func measure(_ directory: String) throws -> Received {
        var bytes: Int64 = 0
        for name in try Files.names(in: directory) where name.hasPrefix("pages-") {
            var information = stat()
            if lstat("\(directory)/\(name)", &information) == 0 { bytes += Int64(information.st_size) }
        }
        return Received(pages: bytes / Int64(sysconf(Int32(_SC_PAGESIZE))), bytes: bytes)
    }
}
