import Glibc
import LinuxSystem

/// Gives restored processes back what CRIU does not: the processors they may run on and small settings.
enum RestoreTasks {
    /// Replays the record on held processes, given by their number inside. What cannot be replayed (a processor
    /// this machine does not have) is left as it is.
    static func replay(_ record: CheckpointRecord, on processes: [Int32: pid_t]) {
        for task in record.tasks {
            guard let pid = processes[task.pid] else { continue }
            if let filter = task.coredumpFilter {
                try? Files.poke("/proc/\(pid)/coredump_filter", "0x\(filter)")
            }
            rejoin(task.memberships, of: pid)
            guard !task.threads.isEmpty else { continue }
            let threads = threadsByNumberInside(pid)
            for thread in task.threads {
                guard let tid = threads[thread.tid] else { continue }
                if let cpus = thread.affinity.flatMap({ CPUSet($0) }) { try? cpus.setAffinity(of: tid) }
                if let slack = thread.timerSlack { try? Files.poke("/proc/\(tid)/timerslack_ns", "\(slack)") }
                if let priority = thread.ioPriority {
                    try? IOPriority(rawValue: priority).set(ofThread: tid)
                }
            }
        }
    }

    private static func rejoin(_ memberships: [CheckpointMembership], of pid: pid_t) {
        guard !memberships.isEmpty, let process = try? ProcessDescriptor(pid: pid) else { return }
        let interfaces = MulticastMembership.interfaces(ofProcess: pid)
        for entry in memberships {
            guard let index = interfaces[entry.membership.interface],
                let socket = try? process.duplicate(descriptor: entry.descriptor)
            else { continue }
            try? entry.membership.join(socket, index: index)
        }
    }

    private static func threadsByNumberInside(_ pid: pid_t) -> [Int32: pid_t] {
        var result: [Int32: pid_t] = [:]
        for tid in ((try? Files.names(in: "/proc/\(pid)/task")) ?? []).compactMap({ pid_t($0) }) {
            if let inside = RestoreCgroups.numberInside(pid, thread: tid) { result[inside] = tid }
        }
        return result
    }
}
