internal import SwiftProtobuf

extension SavedReader {
    /// The timers of a process that run, and the POSIX timers it has made.
    func timers(
        _ saved: criu_saved_timers, of pid: Int32, _ image: CRIUImage
    ) throws(CRIUError) -> [CRIUSavedState.Timer] {
        var result: [CRIUSavedState.Timer] = []
        for (kind, clock, interval) in [
            ("real", "real time", saved.real), ("virtual", "the process's own time", saved.virtual),
            ("profiling", "the process's time", saved.profiling),
        ] {
            let timer = CRIUSavedState.Timer(
                pid: pid, kind: kind, clock: clock,
                left: Self.microseconds(interval.vsec, interval.vusec),
                interval: Self.microseconds(interval.isec, interval.iusec))
            if timer.left > 0 || timer.interval > 0 { result.append(timer) }
        }
        for bytes in saved.posix {
            guard result.count < Self.mostRows else { break }
            let timer: criu_saved_posix_timer = try image.decode(Array(bytes))
            result.append(
                CRIUSavedState.Timer(
                    pid: pid, kind: "posix", clock: Self.clock(timer.clock),
                    left: Self.microseconds(timer.vsec, timer.vnsec / 1000),
                    interval: Self.microseconds(timer.isec, timer.insec / 1000)))
        }
        return result
    }

    /// Timers that are files.
    func timerDescriptors(
        _ table: FileTable, _ holders: [UInt32: [Int32]]
    ) throws(CRIUError) -> [CRIUSavedState.Timer] {
        table.files.sorted { $0.key < $1.key }.filter { $0.value.hasTimer }.map { id, file in
            CRIUSavedState.Timer(
                pid: holders[id]?.first ?? 0, kind: "descriptor", clock: Self.clock(file.timer.clock),
                left: Self.microseconds(file.timer.vsec, file.timer.vnsec / 1000),
                interval: Self.microseconds(file.timer.isec, file.timer.insec / 1000))
        }
    }

    /// Programs that wait for the clock to be set arm a timer for the end of time.
    private static func microseconds(_ seconds: UInt64, _ rest: UInt64) -> Int64 {
        let (whole, tooLarge) = seconds.multipliedReportingOverflow(by: 1_000_000)
        let (sum, overflow) = whole.addingReportingOverflow(rest)
        return tooLarge || overflow ? .max : Int64(clamping: sum)
    }

    private static func clock(_ saved: UInt32) -> String {
        switch saved {
        case 0: "real time"
        case 1: "monotonic"
        case 2: "the process's time"
        case 3: "the thread's time"
        case 7: "boot time"
        case 8: "real time, waking the machine"
        case 9: "boot time, waking the machine"
        default: "clock \(Int32(bitPattern: saved))"
        }
    }
}
