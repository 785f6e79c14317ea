import CLinux
import Glibc
import Synchronization

/// One thread that waits for descriptors, for the whole process. Not dispatch's: its event loop, with sources that come
/// and go by the hundred, touches some that are gone already (a crash in `_dispatch_event_loop_drain`). Here waits have
/// numbers, and one that is gone is simply not found.
final class Poller: Sendable {
    /// The process's own; nil if the kernel gives no epoll instance.
    static let shared: Poller? = Poller()

    private struct Wait {
        let descriptor: Int32
        let handler: @Sendable () -> Void
    }

    private struct State {
        var waits: [UInt64: Wait] = [:]
        var last: UInt64 = 0
    }

    private let poller: Int32
    private let state = Mutex(State())

    private init?() {
        poller = apus_poller_make()
        guard poller >= 0 else { return nil }
        var all = sigset_t()
        var former = sigset_t()
        sigfillset(&all)
        // Signals are for other threads.
        pthread_sigmask(SIG_BLOCK, &all, &former)
        defer { pthread_sigmask(SIG_SETMASK, &former, nil) }
        var thread = pthread_t()
        let own = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Poller>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            }, own.toOpaque())
        guard code == 0 else {
            own.release()
            return nil
        }
        pthread_detach(thread)
    }

    /// Calls `handler` once, when a descriptor is ready; at once if it always is. Owns the descriptor from now on, and
    /// closes it with the end of the wait. Nil and errno if it cannot be waited for.
    func add(_ descriptor: Int32, write: Bool, _ handler: @escaping @Sendable () -> Void) -> UInt64? {
        let id = state.withLock { state in
            state.last += 1
            state.waits[state.last] = Wait(descriptor: descriptor, handler: handler)
            return state.last
        }
        guard apus_poller_add(poller, descriptor, write ? 1 : 0, id) != 0 else { return id }
        let reason = errno
        guard let wait = state.withLock({ $0.waits.removeValue(forKey: id) }) else { return id }
        close(wait.descriptor)
        if reason == EPERM {
            handler()
            return id
        }
        errno = reason
        return nil
    }

    /// Ends a wait; its handler is not called any more. One that has ended already is left alone.
    func cancel(_ id: UInt64) {
        if let wait = take(id) { close(wait.descriptor) }
    }

    private func take(_ id: UInt64) -> Wait? {
        guard let wait = state.withLock({ $0.waits.removeValue(forKey: id) }) else { return nil }
        // Others may hold the same open file: closing our descriptor alone would not end the wait.
        _ = apus_poller_remove(poller, wait.descriptor)
        return wait
    }

    private func run() {
        var ids = [UInt64](repeating: 0, count: 64)
        while true {
            let count = apus_poller_wait(poller, &ids, Int32(ids.count))
            guard count > 0 else { continue }
            for id in ids.prefix(Int(count)) {
                guard let wait = take(id) else { continue }
                close(wait.descriptor)
                wait.handler()
            }
        }
    }
}
