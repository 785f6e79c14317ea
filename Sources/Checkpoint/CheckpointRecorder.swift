import CRIU
import ContainerRuntime
import Glibc
import LinuxSystem

/// Writes down what CRIU does not keep, while the tasks stand still.
struct CheckpointRecorder: Sendable {
    let subject: CheckpointSubject
    let layout: CgroupLayout

    /// What was found.
    struct Findings: Sendable {
        var cgroups: [CheckpointCgroup] = []
        var tasks: [CheckpointTask] = []
        var terminals: [CRIUTerminals.Session] = []
        var network: CheckpointNetwork?
    }

    /// Reads everything. Runs beside CRIU's own work.
    func collect() throws -> Findings {
        Findings(
            cgroups: try cgroups(), tasks: tasks(), terminals: terminals(),
            network: try CheckpointNetwork(in: Namespaces.open(.network, of: subject.initPID)))
    }

    /// The container's root in the unified hierarchy.
    private var root: String? { layout.unified.map { "\($0.path)/\(subject.cgroup)" } }

    // MARK: Control groups

    /// Below the container's root these are ours, not the container's.
    private static let own: Set<String> = [ContainerCgroup.execSessions, ".apus-restore"]

    private func cgroups() throws -> [CheckpointCgroup] {
        guard let root else { return [] }
        var result: [CheckpointCgroup] = []
        try visit("", of: root, &result)
        return result
    }

    private func visit(_ path: String, of root: String, _ result: inout [CheckpointCgroup]) throws {
        let directory = path.isEmpty ? root : "\(root)/\(path)"
        var information = stat()
        guard lstat(directory, &information) == 0 else { return }
        result.append(
            CheckpointCgroup(
                path: path, uid: information.st_uid, gid: information.st_gid,
                mode: information.st_mode & 0o7777, settings: Self.settings(directory)))
        for name in try Files.directories(in: directory).sorted()
        where !(path.isEmpty && Self.own.contains(name)) {
            try visit(path.isEmpty ? name : "\(path)/\(name)", of: root, &result)
        }
    }

    /// Files a container may set in its groups, and what they say when nobody has.
    private static let defaults: [String: String] = [
        "cgroup.type": "domain", "cgroup.subtree_control": "", "cgroup.max.depth": "max",
        "cgroup.max.descendants": "max", "cpu.weight": "100", "cpu.max": "max 100000", "cpu.idle": "0",
        "cpuset.cpus": "", "cpuset.mems": "", "io.weight": "default 100", "memory.high": "max",
        "memory.low": "0", "memory.max": "max", "memory.min": "0", "memory.oom.group": "0",
        "memory.swap.high": "max", "memory.swap.max": "max", "memory.zswap.max": "max", "pids.max": "max",
    ]

    private static func settings(_ directory: String) -> [String: String] {
        var result: [String: String] = [:]
        for (file, usual) in defaults {
            guard let text = try? Files.text("\(directory)/\(file)", limit: 4096).trimmingSpaces,
                text != usual
            else { continue }
            result[file] =
                file == "cgroup.subtree_control"
                ? text.split(separator: " ").map { "+\($0)" }.joined(separator: " ") : text
        }
        return result
    }

    // MARK: Tasks

    private func tasks() -> [CheckpointTask] {
        let usualCPUs = self.usualCPUs()
        var memberships = MembershipRecorder()
        return Proc.tree(from: subject.initPID).compactMap { pid in
            guard let fields = try? ProcessStatus.fields(pid: pid), let inside = Self.inside(fields["NSpid"])
            else {
                return nil
            }
            let filter = try? Files.text("/proc/\(pid)/coredump_filter", limit: 64).trimmingSpaces
            return CheckpointTask(
                pid: inside, name: fields["Name"] ?? "", cgroup: cgroupBelowRoot(of: pid),
                threads: threads(pid, usualCPUs),
                coredumpFilter: filter == Self.usualCoredumpFilter || filter == "" ? nil : filter,
                memberships: memberships.memberships(of: pid))
        }
    }

    private static let usualCoredumpFilter = "00000033"
    private static let usualTimerSlack: UInt64 = 50_000

    private func threads(_ pid: pid_t, _ usualCPUs: CPUSet?) -> [CheckpointThread] {
        ((try? Files.names(in: "/proc/\(pid)/task")) ?? []).compactMap { pid_t($0) }.compactMap { tid in
            let affinity = try? CPUSet.affinity(of: tid)
            let slack = (try? Files.text("/proc/\(tid)/timerslack_ns", limit: 32).trimmingSpaces).flatMap {
                UInt64($0)
            }
            let bound = affinity != usualCPUs
            let slacked = slack.map { $0 != Self.usualTimerSlack } ?? false
            let priority = try? IOPriority.ofThread(tid)
            guard bound || slacked || priority != nil,
                let fields = try? ProcessStatus.parseFields(Files.text("/proc/\(pid)/task/\(tid)/status")),
                let inside = Self.inside(fields["NSpid"])
            else { return nil }
            return CheckpointThread(
                tid: inside, affinity: bound ? affinity?.description : nil, timerSlack: slacked ? slack : nil,
                ioPriority: priority?.rawValue)
        }
    }

    /// The processors a task of the container runs on when nobody has said otherwise.
    private func usualCPUs() -> CPUSet? {
        for hierarchy in layout.hierarchies where hierarchy.controllers.contains("cpuset") {
            for file in ["cpuset.effective_cpus", "cpuset.cpus.effective"] {
                let path = "\(hierarchy.path)/\(subject.cgroup)/\(file)"
                if let text = try? Files.text(path, limit: 4096), let set = CPUSet(text.trimmingSpaces) {
                    return set
                }
            }
        }
        return (try? Files.text("/sys/devices/system/cpu/online", limit: 4096)).flatMap {
            CPUSet($0.trimmingSpaces)
        }
    }

    private func cgroupBelowRoot(of pid: pid_t) -> String {
        guard let entry = try? Proc.cgroups(pid).first(where: { $0.controllers.isEmpty }) else { return "" }
        // Not always at the front: seen from a cgroup namespace of our own there may be `/../..` before it.
        let parts = entry.path.split(separator: "/")
        let root = subject.cgroup.split(separator: "/")
        guard parts.count >= root.count else { return "" }
        for start in 0...(parts.count - root.count)
        where parts[start..<start + root.count].elementsEqual(root) {
            return parts[(start + root.count)...].joined(separator: "/")
        }
        return ""
    }

    // MARK: Terminals

    /// The session of every terminal that controls one.
    private func terminals() -> [CRIUTerminals.Session] {
        var numbers: [pid_t: UInt32] = [:]
        var found: [UInt32: (session: UInt32, foreground: pid_t)] = [:]
        for pid in Proc.tree(from: subject.initPID) {
            guard let fields = try? ProcessStatus.fields(pid: pid), let inside = Self.inside(fields["NSpid"])
            else {
                continue
            }
            numbers[pid] = UInt32(bitPattern: inside)
            guard let session = Self.inside(fields["NSsid"]), let terminal = Self.controllingTerminal(of: pid)
            else {
                continue
            }
            found[terminal.number] = (UInt32(bitPattern: session), terminal.foreground)
        }
        return found.map { number, owner in
            CRIUTerminals.Session(
                terminal: number, session: owner.session,
                foreground: numbers[owner.foreground] ?? owner.session)
        }.sorted { $0.terminal < $1.terminal }
    }

    /// The number, in its devpts, of the terminal that controls a process, and the process group in its foreground.
    private static func controllingTerminal(of pid: pid_t) -> (number: UInt32, foreground: pid_t)? {
        guard let text = try? Files.text("/proc/\(pid)/stat", limit: 4096), let end = text.lastIndex(of: ")")
        else {
            return nil
        }
        let words = text[text.index(after: end)...].split(separator: " ")
        guard words.count > 5, let device = UInt32(words[4]), let foreground = pid_t(words[5]) else {
            return nil
        }
        let slaves: UInt32 = 136
        guard (device >> 8) & 0xfff == slaves else { return nil }
        return ((device & 0xff) | ((device >> 12) & 0xf_ff00), foreground)
    }

    private static func inside(_ numbers: String?) -> Int32? {
        let words = (numbers ?? "").split(whereSeparator: { $0 == " " || $0 == "\t" })
        return words.count > 1 ? Int32(words[1]) : nil
    }
}
