import Foundation
import Glibc

/// What the kernel says of processes and of the machine.
enum Kernel {
    /// The megabytes a process has resident.
    static func memory(of pid: pid_t) -> Double { field("VmRSS", in: "/proc/\(pid)/status") }

    /// The megabytes a process is to blame for: what it shares counts by its part.
    static func share(of pid: pid_t) -> Double { field("Pss", in: "/proc/\(pid)/smaps_rollup") }

    /// The processor time a process has used, in seconds.
    static func processorTime(of pid: pid_t) -> Double {
        let fields = text("/proc/\(pid)/stat").split(separator: " ")
        guard fields.count > 14, let user = Double(fields[13]), let system = Double(fields[14]) else {
            return .nan
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// A process and those of its children that run the same program.
    static func family(of pid: pid_t) -> [pid_t] {
        let name = text("/proc/\(pid)/comm")
        let children = text("/proc/\(pid)/task/\(pid)/children").split(separator: " ").compactMap {
            pid_t($0)
        }
        return [pid] + children.filter { !name.isEmpty && text("/proc/\($0)/comm") == name }
    }

    /// How much of the processors is in use, in percent, looked at for some seconds.
    static func load(seconds: Double) -> Double {
        let before = processors()
        poll(nil, 0, Int32(seconds * 1000))
        let after = processors()
        let all = after.all - before.all
        return all > 0 ? (1 - (after.idle - before.idle) / all) * 100 : .nan
    }

    private static func processors() -> (all: Double, idle: Double) {
        let line = text("/proc/stat").prefix { $0 != "\n" }
        let times = line.split(separator: " ").dropFirst().compactMap { Double($0) }
        guard times.count > 4 else { return (0, 0) }
        return (times.prefix(8).reduce(0, +), times[3] + times[4])
    }

    private static func field(_ name: String, in path: String) -> Double {
        let line = text(path).split(separator: "\n").first { $0.hasPrefix(name + ":") } ?? ""
        return (Double(line.filter(\.isNumber)) ?? .nan) / 1024
    }

    static func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }
}
