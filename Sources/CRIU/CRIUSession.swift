internal import Glibc
public import LinuxSystem

/// One conversation with a `criu swrk` process, blocking: for single-threaded programs, and the base of
/// the asynchronous face. A session serves one request and is then closed.
public final class CRIUSession {
    /// Is called for each notification; CRIU waits until it returns. Throwing refuses what CRIU announced.
    public typealias Handler = (CRIUNotification) throws -> Void

    private let channel: CRIUChannel
    private var guardian: CRIUGuard?
    private var ended = false
    private var pageServer: (pid: Int32, log: LogTail)?

    /// Starts CRIU. Nothing is stopped or restored yet.
    public init(_ installation: CRIUInstallation, launch: CRIULaunch = CRIULaunch()) throws(CRIUError) {
        let (ours, theirs) = try CRIUChannel.pair()
        do {
            process = try launch.spawn(installation, channel: FileDescriptor(owning: theirs)).start()
        } catch {
            throw CRIUError(.system, "cannot start CRIU: \(error)", underlying: error)
        }
        channel = ours
        // Tasks that CRIU is just at may not survive its end: it is the last to go when memory runs out.
        try? Files.poke("/proc/\(process.pid)/oom_score_adj", "-1000")
        // Where this is not allowed CRIU is merely slower.
        if launch.niceness != 0 {
            _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), id_t(process.pid), launch.niceness)
        }
    }

    deinit { finish() }

    /// The CRIU process. Whoever kills it resumes what it had stopped.
    public let process: ProcessDescriptor

    /// Stops a tree of tasks and saves it; returns what CRIU measured. With a guard the tasks outlive CRIU's death.
    public func dump(
        _ options: CRIUDumpOptions, guardedBy guardian: CRIUGuard? = nil,
        onNotification handler: Handler = { _ in }
    ) throws(CRIUError) -> CRIUDumpStatistics {
        self.guardian = guardian
        guardian?.begin(process.pid)
        let directories = try Directories(images: options.imageDirectory, work: options.common.workDirectory)
        let request = CRIURequest.dump(
            options, imageDirectory: directories.images, workDirectory: directories.work)
        let log = LogTail(directories: directories, file: options.common.logFile)
        let response = try converse(request, "dump process \(options.pid)", log: log, handler)
        guard case .dumped = response else { throw unexpected(response, to: "dump") }
        finish()
        return try CRIUDumpStatistics(directory: options.common.workDirectory ?? options.imageDirectory)
    }

    /// Brings a saved tree of tasks back; returns the first process and what CRIU measured.
    public func restore(
        _ options: CRIURestoreOptions, onNotification handler: Handler = { _ in }
    ) throws(CRIUError) -> (pid: Int32, statistics: CRIURestoreStatistics?) {
        let directories = try Directories(images: options.imageDirectory, work: options.common.workDirectory)
        let request = CRIURequest.restore(
            options, imageDirectory: directories.images, workDirectory: directories.work)
        let log = LogTail(directories: directories, file: options.common.logFile)
        let response = try converse(request, "restore from \(options.imageDirectory)", log: log, handler)
        guard case .restored(let pid) = response else { throw unexpected(response, to: "restore") }
        finish()
        let statistics = try? CRIURestoreStatistics(
            directory: options.common.workDirectory ?? options.imageDirectory)
        return (pid, statistics)
    }

    /// Has CRIU receive memory pages from the launch's page socket into `directory`. Returns when it is ready; wait
    /// with `waitForPageServer`.
    func startPageServer(_ directory: String, options: CRIUCommonOptions) throws(CRIUError) {
        let directories = try Directories(images: directory, work: options.workDirectory)
        let log = LogTail(directories: directories, file: options.logFile)
        let request = CRIURequest.pageServer(
            options, imageDirectory: directories.images, workDirectory: directories.work)
        let response = try converse(request, "receive memory pages into \(directory)", log: log) { _ in }
        guard case .pageServer(let pid) = response else { throw unexpected(response, to: "page server") }
        pageServer = (pid, log)
    }

    /// Waits until all pages have come.
    func waitForPageServer() throws(CRIUError) {
        guard let (pid, log) = pageServer else { return }
        let what = "receive memory pages"
        let response = try converse(.wait(pid: pid), what, log: log) { _ in }
        guard case .ended(let status) = response else { throw unexpected(response, to: "wait") }
        finish()
        guard status == 0 else {
            throw CRIUError(
                .refused, "cannot \(what): they stopped coming, or could not be written",
                logLines: log.lastProblems())
        }
    }

    /// Asks for the version.
    public func version() throws(CRIUError) -> CRIUVersion {
        let response = try converse(.version, "ask CRIU for its version", log: nil) { _ in }
        guard case .version(let version) = response else { throw unexpected(response, to: "version") }
        finish()
        return version
    }

    /// Asks what CRIU and the kernel can do.
    public func features() throws(CRIUError) -> CRIUFeatures {
        let response = try converse(.features, "ask CRIU for its features", log: nil) { _ in }
        guard case .features(let features) = response else { throw unexpected(response, to: "feature check") }
        finish()
        return features
    }

    /// Has CRIU check the kernel.
    public func check() throws(CRIUError) {
        let response = try converse(.check, "have CRIU check the kernel", log: nil) { _ in }
        guard case .checked = response else { throw unexpected(response, to: "check") }
        finish()
    }

    /// Sends a request and serves CRIU's notifications until it answers.
    private func converse(
        _ request: CRIURequest, _ what: String, log: LogTail?, _ handler: Handler
    ) throws(CRIUError) -> CRIUResponse {
        var refusal: (any Error)?
        do throws(CRIUError) {
            try channel.send(request.encoded())
            while let (bytes, descriptor) = try channel.receive() {
                switch try CRIUResponse(decoding: bytes) {
                case .notification(let script, let pid):
                    let success = deliver(script, pid, descriptor, handler, &refusal)
                    try channel.send(CRIURequest.answer(success: success).encoded())
                case .failed(let code, let message):
                    throw failure(what, code, message, log, refusal)
                case let response:
                    // CRIU goes on after a refused pre-resume; its caller does not.
                    guard let refusal else { return response }
                    finish()
                    throw handlerFailure(what, refusal, log)
                }
            }
        } catch  where error.code == .connectionClosed {
            // Reported below, with how CRIU ended.
        }
        let end = finish()
        if let refusal { throw handlerFailure(what, refusal, log) }
        throw CRIUError(
            .connectionClosed, "cannot \(what): CRIU \(end) before it answered",
            logLines: log?.lastProblems() ?? [])
    }

    private func deliver(
        _ script: String, _ pid: Int32?, _ descriptor: Int32?, _ handler: Handler,
        _ refusal: inout (any Error)?
    ) -> Bool {
        guard let moment = CRIUNotification.Moment(rawValue: script) else {
            // A moment a newer CRIU announces: nothing is wanted of us.
            if let descriptor { _ = Glibc.close(descriptor) }
            return true
        }
        do {
            try handler(CRIUNotification(moment: moment, pid: pid, descriptor: descriptor))
            return true
        } catch {
            refusal = refusal ?? error
            return false
        }
    }

    private func failure(
        _ what: String, _ code: Int32?, _ message: String?, _ log: LogTail?, _ refusal: (any Error)?
    ) -> CRIUError {
        finish()
        if let refusal { return handlerFailure(what, refusal, log) }
        var lines = log?.lastProblems() ?? []
        if let message, lines.isEmpty { lines = [message] }
        let reason = code.map { $0 == 0 ? "" : " (\(errorText($0)))" } ?? ""
        return CRIUError(.refused, "cannot \(what)\(reason)", errnoCode: code, logLines: lines)
    }

    private func handlerFailure(_ what: String, _ error: any Error, _ log: LogTail?) -> CRIUError {
        CRIUError(
            .handlerFailed, "cannot \(what): \(error)", logLines: log?.lastProblems() ?? [], underlying: error
        )
    }

    private func unexpected(_ response: CRIUResponse, to request: String) -> CRIUError {
        finish()
        return CRIUError(.protocolViolation, "CRIU answered a \(request) request with \(response)")
    }

    /// Closes the channel, on which CRIU ends, and waits for that.
    @discardableResult
    private func finish() -> String {
        channel.close()
        guard !ended else { return "has ended" }
        ended = true
        guardian?.end()
        return (try? process.waitBlocking())?.description ?? "has ended"
    }
}

/// The directories of a request, open: CRIU reaches them through `/proc/<pid>/fd`.
private final class Directories {
    let images: Int32
    let work: Int32?

    init(images path: String, work workPath: String?) throws(CRIUError) {
        images = try Self.openDirectory(path)
        do throws(CRIUError) {
            work = try workPath.map { path throws(CRIUError) in try Self.openDirectory(path) }
        } catch {
            _ = Glibc.close(images)
            throw error
        }
    }

    deinit {
        _ = Glibc.close(images)
        if let work { _ = Glibc.close(work) }
    }

    private static func openDirectory(_ path: String) throws(CRIUError) -> Int32 {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CRIUError(.system, "cannot open \(path) for CRIU: \(errorText(errno))", errnoCode: errno)
        }
        return descriptor
    }
}

/// The log CRIU writes in its work directory.
private struct LogTail {
    let directories: Directories
    let file: String

    func lastProblems() -> [String] {
        CRIULog.problems(inDirectory: directories.work ?? directories.images, file: file)
    }
}
