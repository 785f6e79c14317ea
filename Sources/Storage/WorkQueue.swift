import Dispatch
import Glibc

/// Jobs that make more jobs, worked off by all cores: the walk of a tree, one job for each directory.
/// Last in, first out, so that few directories are open at a time.
final class WorkQueue<Job>: @unchecked Sendable {
    private var mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [Job]
    private var working = 0
    private var waiting = 0
    private var failure: (any Error)?

    /// How many workers a walk has.
    static var workers: Int { max(2, min(8, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    init(_ jobs: [Job]) {
        self.jobs = jobs
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(condition)
        mutex.deallocate()
        condition.deallocate()
    }

    /// Adds jobs found by a job.
    func add(_ found: [Job]) {
        guard !found.isEmpty else { return }
        pthread_mutex_lock(mutex)
        jobs.append(contentsOf: found)
        if waiting > 0 { pthread_cond_broadcast(condition) }
        pthread_mutex_unlock(mutex)
    }

    /// Works until no job is left. Each worker makes its own context first. The first failure ends the walk.
    func run<Context>(context: () throws -> Context, _ body: (inout Context, Job) throws -> Void) throws {
        // Iterations that find no thread of their own run after the others, and then find nothing to do.
        withoutActuallyEscaping(context) { context in
            withoutActuallyEscaping(body) { body in
                let bodies = Unchecked((context, body))
                DispatchQueue.concurrentPerform(iterations: Self.workers) { _ in
                    do {
                        guard self.hasWork() else { return }
                        var own = try bodies.value.0()
                        while let job = self.next() {
                            defer { self.done() }
                            try bodies.value.1(&own, job)
                        }
                    } catch {
                        self.fail(error)
                    }
                }
            }
        }
        if let failure { throw failure }
    }

    private func hasWork() -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return failure == nil && (!jobs.isEmpty || working > 0)
    }

    private func next() -> Job? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if failure != nil { return nil }
            if let job = jobs.popLast() {
                working += 1
                return job
            }
            if working == 0 { return nil }
            waiting += 1
            pthread_cond_wait(condition, mutex)
            waiting -= 1
        }
    }

    private func done() {
        pthread_mutex_lock(mutex)
        working -= 1
        if waiting > 0 && working == 0 { pthread_cond_broadcast(condition) }
        pthread_mutex_unlock(mutex)
    }

    private func fail(_ error: any Error) {
        pthread_mutex_lock(mutex)
        if failure == nil { failure = error }
        jobs.removeAll()
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }
}

/// Carries a value across threads that share it by construction.
struct Unchecked<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
