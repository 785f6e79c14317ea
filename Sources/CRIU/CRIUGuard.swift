internal import Dispatch
internal import Glibc
internal import LinuxSystem
internal import Synchronization

/// Stands by while CRIU dumps, and mends the tasks if CRIU is killed, or crashes, at work.
///
/// A dump runs CRIU's own code in each task for some instants. When CRIU dies just then, the kernel lets the task go on
/// in the middle of that code, which kills it. The guard traces CRIU, so that CRIU stops once more before its end. Then
/// the tasks are frozen, the registers they had before are read out of CRIU's memory, and when CRIU has gone they are
/// given back to the tasks before these run again.
public final class CRIUGuard: Sendable {
    /// What became of the tasks.
    public enum Outcome: Sendable, Hashable {
        /// CRIU ended with no task in its hands.
        case notNeeded
        /// CRIU died, and the tasks go on as before; so many had to be mended.
        case saved(mended: Int)
        /// These tasks could not be saved.
        case harmed([Harm])
    }

    /// A task that could not be saved.
    public struct Harm: Sendable, Hashable {
        /// Its number, as this process sees it.
        public var pid: Int32
        /// Its name.
        public var name: String
        /// What is wrong with it.
        public var reason: String
    }

    private let initPID: Int32
    private let setFrozen: @Sendable (Bool) throws -> Void
    private let state = Mutex(Outcome.notNeeded)
    private let stall = Mutex(CRIUStall?.none)
    private let watching = Atomic(false)
    private let done = DispatchSemaphore(value: 0)
    private let over = DispatchSemaphore(value: 0)
    /// How often is looked whether CRIU waits in vain, in milliseconds. Most dumps are over before the first time.
    private static let stallInterval = 500

    /// A guard of the tasks from `initPID` on. `setFrozen` makes them stand still, and returns when they do, or lets them
    /// go; it is called in a thread of its own.
    public init(initPID: Int32, setFrozen: @escaping @Sendable (Bool) throws -> Void) {
        self.initPID = initPID
        self.setFrozen = setFrozen
    }

    /// What became of the tasks; for when the dump has ended.
    public var outcome: Outcome { state.withLock { $0 } }

    /// The task whose death made CRIU wait for ever, so that CRIU was ended; for when the dump has ended.
    public var lost: Harm? {
        stall.withLock { $0 }.map { Harm(pid: $0.pid, name: $0.name, reason: "it was killed meanwhile") }
    }

    /// Begins to watch over a CRIU. Where it may not be traced there is no guard.
    func begin(_ criu: pid_t) {
        let begun = DispatchSemaphore(value: 0)
        watching.store(true, ordering: .releasing)
        let watch = Thunk { [self] in
            _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, -10)
            let traced = try? TracedThread(seizing: criu, stopsAtEnd: true)
            begun.signal()
            if let traced { self.watch(traced) }
            done.signal()
        }
        guard watch.run() else {
            watching.store(false, ordering: .releasing)
            return
        }
        begun.wait()
        let look = Thunk { [self] in
            endWhenStalled(criu)
            done.signal()
        }
        if !look.run() { done.signal() }
    }

    /// Waits until CRIU has ended and the tasks are cared for. Nobody may wait for CRIU's end before: it would get what
    /// is meant for the guard.
    func end() {
        guard watching.exchange(false, ordering: .acquiringAndReleasing) else { return }
        over.signal()
        done.wait()
        done.wait()
    }

    /// Ends a CRIU that waits for ever.
    private func endWhenStalled(_ criu: pid_t) {
        var before: CRIUStall?
        while over.wait(timeout: .now() + .milliseconds(Self.stallInterval)) == .timedOut {
            let now = CRIUStall(of: criu, below: initPID)
            if let now, now == before {
                stall.withLock { $0 = now }
                _ = kill(criu, SIGKILL)
                return
            }
            before = now
        }
    }

    private func watch(_ criu: TracedThread) {
        while true {
            switch criu.wait() {
            case .ended: return
            case .stopped: criu.resume()
            case .signal(let signal): criu.resume(with: signal)
            case .groupStop: criu.listen()
            case .ending: return rescue(criu)
            }
        }
    }

    /// CRIU is about to end: what it still holds is let go of in good order.
    private func rescue(_ criu: TracedThread) {
        let held = HeldTask.all(below: initPID, tracedBy: criu.number)
        guard !held.isEmpty else { return criu.resume() }
        let isFrozen = (try? setFrozen(true)) != nil
        let memory = CRIUMemory(of: criu.number)
        let doomed = Set(held.flatMap(\.doomedThreads))
        criu.resume()
        while criu.wait() != .ended { criu.resume() }
        var mended = 0
        var harms: [Harm] = []
        for task in held {
            switch TaskMending(task: task, isInit: task.pid == initPID, doomed: doomed, memory: memory).run()
            {
            case .unharmed: break
            case .mended: mended += 1
            case .harmed(let reason): harms.append(Harm(pid: task.pid, name: task.name, reason: reason))
            }
        }
        if isFrozen { try? setFrozen(false) }
        state.withLock { $0 = harms.isEmpty ? .saved(mended: mended) : .harmed(harms) }
    }
}

/// A body for a thread of its own: what traces has to stay the same thread.
private final class Thunk: Sendable {
    private let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    /// Starts the thread; false if there can be none.
    func run() -> Bool {
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(self)
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Thunk>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, argument.toOpaque())
        guard status == 0 else {
            argument.release()
            return false
        }
        pthread_detach(thread)
        return true
    }
}

/// A task that CRIU has in its hands.
struct HeldTask {
    let pid: pid_t
    let name: String
    /// Those of its threads that CRIU traces.
    let threads: [pid_t]

    static func all(below initPID: pid_t, tracedBy tracer: pid_t) -> [HeldTask] {
        Proc.tree(from: initPID).compactMap { pid in
            let numbers = ((try? Files.names(in: "/proc/\(pid)/task")) ?? []).compactMap { pid_t($0) }
            let threads = numbers.filter { isHeld("/proc/\(pid)/task/\($0)", by: tracer) }
            guard !threads.isEmpty, let status = try? ProcessStatus(pid: pid) else { return nil }
            return HeldTask(pid: pid, name: status.name, threads: threads)
        }
    }

    /// Whether a thread is in that CRIU's hands. What ends anyway cannot be helped, and is not CRIU's doing.
    private static func isHeld(_ thread: String, by tracer: pid_t) -> Bool {
        guard let fields = (try? Files.text("\(thread)/status")).map(ProcessStatus.parseFields),
            let status = (try? Files.text("\(thread)/stat")).flatMap(ProcessStatus.init(stat:))
        else { return false }
        return fields["TracerPid"] == "\(tracer)" && !status.isEnding
    }

    /// Threads whose last trap CRIU has not taken note of any more: with CRIU gone it is delivered.
    var doomedThreads: [pid_t] {
        threads.filter { thread in
            guard let text = try? Files.text("/proc/\(pid)/task/\(thread)/stat"),
                let end = text.lastIndex(of: ")")
            else { return false }
            // The 52nd field, exit_code.
            let words = text[text.index(after: end)...].split(separator: " ")
            return words.count > 49 && Int32(words[49].trimmingSpaces) == SIGTRAP
        }
    }
}
