public import ApusAPI
import LinuxSystem

/// What the machine has: read from /proc and /sys each time, because processors and memory come and go.
public enum MachineResources {
    /// The machine as it is now.
    /// - Parameters:
    ///   - proc: where proc(5) is mounted.
    ///   - sys: where sysfs is mounted.
    public static func read(proc: String = "/proc", sys: String = "/sys") throws -> Resources {
        Resources(cpu: try processors(proc, sys), memory: try memory(proc))
    }

    private static func memory(_ proc: String) throws -> MemoryResources {
        var bytes: [Substring: Int64] = [:]
        for line in try Files.text(proc + "/meminfo").split(separator: "\n") {
            // MemTotal:       25165824 kB
            let parts = line.split(separator: " ")
            guard parts.count >= 2, let value = Int64(parts[1]) else { continue }
            bytes[parts[0].dropLast()] = parts.count > 2 ? value << 10 : value
        }
        let total = bytes["MemTotal"] ?? 0
        return MemoryResources(
            used: max(0, total - (bytes["MemAvailable"] ?? bytes["MemFree"] ?? 0)), total: total)
    }

    private static func processors(_ proc: String, _ sys: String) throws -> CPUResources {
        let base = sys + "/devices/system/cpu"
        let described = try descriptions(proc)
        let online = (try? Files.text(base + "/online")).flatMap { CPUSet($0.trimmingSpaces) }?.cpus
        var sockets: [Int64: CPUSocket] = [:]
        var cores: [Int64: Set<Int64>] = [:]
        for cpu in (online ?? Set(described.keys)).sorted() {
            func number(_ file: String) -> Int64? {
                (try? Files.text("\(base)/cpu\(cpu)/\(file)")).flatMap { Int64($0.trimmingSpaces) }
            }
            // A machine that does not say (package -1, or no topology) has one package.
            let package = max(0, number("topology/physical_package_id") ?? 0)
            cores[package, default: []].insert(number("topology/core_id") ?? Int64(cpu))
            var socket = sockets[package] ?? CPUSocket(socket: package)
            socket.threads += 1
            socket.cores = Int64(cores[package]?.count ?? 0)
            let about = described[cpu] ?? [:]
            socket.name = socket.name ?? about["model name"]
            socket.vendor = socket.vendor ?? about["vendor_id"]
            if socket.frequency == nil {
                let kilohertz = number("cpufreq/scaling_cur_freq")
                socket.frequency = kilohertz.map { $0 / 1000 } ?? about["cpu MHz"].flatMap(wholeNumber)
                socket.frequencyTurbo = number("cpufreq/cpuinfo_max_freq").map { $0 / 1000 }
            }
            sockets[package] = socket
        }
        let all = sockets.values.sorted { $0.socket < $1.socket }
        return CPUResources(sockets: all, total: all.reduce(0) { $0 + $1.threads })
    }

    /// What /proc/cpuinfo says of each processor.
    private static func descriptions(_ proc: String) throws -> [Int: [String: String]] {
        var result: [Int: [String: String]] = [:]
        var current: Int?
        for line in try Files.text(proc + "/cpuinfo").split(separator: "\n") {
            let sides = line.split(separator: ":", maxSplits: 1).map { String($0).trimmingSpaces }
            guard sides.count == 2 else { continue }
            if sides[0] == "processor" { current = Int(sides[1]) }
            if let current { result[current, default: [:]][sides[0]] = sides[1] }
        }
        return result
    }

    private static func wholeNumber(_ text: String) -> Int64? {
        text.split(separator: ".").first.flatMap { Int64($0) }
    }
}
