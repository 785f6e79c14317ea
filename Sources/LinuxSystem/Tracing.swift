import CLinux
public import Glibc

/// A process or thread that is traced (ptrace). All calls have to come from the thread that seized it.
public struct TracedThread: Sendable {
    /// Its number.
    public let number: pid_t

    /// What it has been found doing.
    public enum Event: Sendable, Hashable {
        /// It has ended; its end is still there for whoever waits for it.
        case ended
        /// It stands still because it was interrupted.
        case stopped
        /// A signal is about to be delivered.
        case signal(Int32)
        /// It was stopped by SIGSTOP or the like.
        case groupStop
        /// It is about to end, with everything it has still there.
        case ending
    }

    /// Begins to trace, without stopping it. With `stopsAtEnd` it stops once more before it ends, also when it is killed.
    public init(seizing number: pid_t, stopsAtEnd: Bool = false) throws {
        self.number = number
        try check("ptrace", "trace \(number)") { apus_trace_seize(number, stopsAtEnd ? 1 : 0) }
    }

    /// Waits for the next thing to tell; with a limit, what has nothing to tell by then counts as ended.
    public func wait(milliseconds: Int32 = -1) -> Event {
        var signal: Int32 = 0
        return switch apus_trace_wait(number, milliseconds, &signal) {
        case Int32(APUS_TRACE_STOPPED): .stopped
        case Int32(APUS_TRACE_SIGNAL): .signal(signal)
        case Int32(APUS_TRACE_GROUP_STOP): .groupStop
        case Int32(APUS_TRACE_ENDING): .ending
        default: .ended
        }
    }

    /// Stops it, and waits until it stands; false: it has ended, or does not stop. For what is no child of this process.
    public func stop() -> Bool {
        guard apus_trace_interrupt(number) == 0 else {
            apus_trace_reap(number)
            return false
        }
        while true {
            switch wait(milliseconds: 2000) {
            case .ended:
                // Its parent, or the first thread of its process, waits for this.
                apus_trace_reap(number)
                return false
            case .ending: resume()
            case .signal(let signal): resume(with: signal)
            case .stopped, .groupStop: return true
            }
        }
    }

    /// Lets it go on, with a signal delivered or none.
    public func resume(with signal: Int32 = 0) { _ = apus_trace_continue(number, signal) }

    /// Leaves it stopped as it is, but hears when it goes on.
    public func listen() { _ = apus_trace_listen(number) }

    /// Lets go of it.
    public func detach() { _ = apus_trace_detach(number) }

    /// The signals it holds back; while it stands.
    public func signalMask() -> UInt64? {
        var mask: UInt64 = 0
        return apus_trace_signal_mask(number, &mask, 0) == 0 ? mask : nil
    }

    /// Sets the signals it holds back.
    public func setSignalMask(_ mask: UInt64) -> Bool {
        var mask = mask
        return apus_trace_signal_mask(number, &mask, 1) == 0
    }

    /// Its general registers, or the extended ones, as the kernel lays them out; while it stands.
    public func registers(extended: Bool = false) -> [UInt8]? {
        var room = [UInt8](repeating: 0, count: 1 << 14)
        let size = apus_trace_registers(number, extended ? 1 : 0, &room, room.count, 0)
        return size > 0 ? Array(room.prefix(Int(size))) : nil
    }

    /// Sets its registers.
    public func setRegisters(_ registers: [UInt8], extended: Bool = false) -> Bool {
        var registers = registers
        return apus_trace_registers(number, extended ? 1 : 0, &registers, registers.count, 1) > 0
    }

    /// Takes hardware breakpoints away.
    public func clearBreakpoints() { _ = apus_trace_clear_breakpoints(number) }
}
