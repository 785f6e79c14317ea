import CLinux
public import Glibc

/// A set of CPU numbers, as `0-3,8` in files and as a bit mask in calls.
public struct CPUSet: Sendable, Hashable, CustomStringConvertible {
    /// The numbers.
    public var cpus: Set<Int>

    /// From numbers.
    public init(_ cpus: some Sequence<Int>) { self.cpus = Set(cpus) }

    /// From `0-3,8`; nil if it is not such a list, or has numbers above 8191.
    public init?(_ text: String) {
        var result: Set<Int> = []
        for part in text.split(separator: ",") {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map {
                Int($0.trimmingSpaces)
            }
            guard let low = ends[0], let high = ends.count == 2 ? ends[1] : ends[0], ends.count <= 2,
                low >= 0,
                low <= high, high < 8192
            else { return nil }
            result.formUnion(low...high)
        }
        cpus = result
    }

    /// `0-3,8`.
    public var description: String {
        var parts: [String] = []
        var rest = cpus.sorted()[...]
        while let first = rest.first {
            var last = first
            rest = rest.dropFirst()
            while rest.first == last + 1 {
                last += 1
                rest = rest.dropFirst()
            }
            parts.append(first == last ? "\(first)" : "\(first)-\(last)")
        }
        return parts.joined(separator: ",")
    }

    /// The CPUs a thread may run on.
    public static func affinity(of thread: pid_t) throws -> CPUSet {
        var mask = [UInt8](repeating: 0, count: 1024)
        let used = try check("sched_getaffinity", "read the CPU affinity of task \(thread)") {
            apus_sched_getaffinity(thread, &mask, mask.count)
        }
        return CPUSet((0..<Int(used) * 8).filter { mask[$0 / 8] & (1 << ($0 % 8)) != 0 })
    }

    /// Lets a thread run on these CPUs only.
    public func setAffinity(of thread: pid_t) throws {
        var mask = [UInt8](repeating: 0, count: 1024)
        for cpu in cpus where cpu < 8192 { mask[cpu / 8] |= 1 << UInt8(cpu % 8) }
        try check("sched_setaffinity", "set the CPU affinity of task \(thread) to \(self)") {
            apus_sched_setaffinity(thread, &mask, mask.count)
        }
    }
}
