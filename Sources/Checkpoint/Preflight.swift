import Glibc
import LinuxSystem

/// Looks for what CRIU cannot save, or cannot bring back, by reading /proc. Nothing is stopped, so what a
/// container does meanwhile can still get in the way; the dump tells.
enum Preflight {
    /// Everything found, at most one finding per process and reason.
    static func findings(of subject: CheckpointSubject) throws -> [CheckpointFinding] {
        let context = try PreflightContext(subject)
        var findings: [CheckpointFinding] = []
        for rule in PreflightRules.all {
            guard case .container(let find) = rule.find, let object = find(context) else { continue }
            findings.append(CheckpointFinding(rule, object: object))
        }
        for process in context.processes {
            for rule in PreflightRules.all {
                guard case .process(let find) = rule.find, let object = find(process, context) else {
                    continue
                }
                findings.append(CheckpointFinding(rule, of: process, object: object))
            }
        }
        return findings
    }
}

extension CheckpointFinding {
    fileprivate init(
        _ rule: PreflightRules.Rule, of process: PreflightProcess? = nil, object: String
    ) {
        self.init(
            id: rule.id, level: rule.level, pid: process?.inside, process: process?.name, unit: process?.unit,
            object: object, reason: rule.reason, advice: rule.advice)
    }
}

/// What a checkpoint looks for beforehand, for the reference and for people who ask.
public struct CheckpointRule: Sendable, Codable, Equatable {
    /// Its name.
    public let id: String
    /// How bad it is.
    public let level: CheckpointFinding.Level
    /// What is looked for.
    public let title: String
    /// Why it stands in the way.
    public let reason: String
    /// What to do.
    public let advice: String

    /// All of them, by name.
    public static let all = PreflightRules.all.map {
        CheckpointRule(id: $0.id, level: $0.level, title: $0.title, reason: $0.reason, advice: $0.advice)
    }.sorted { $0.id < $1.id }

    /// The table of docs/reference/checkpointable.md.
    package static func markdown() -> String {
        var text = "| id | level | what | why | what to do |\n|---|---|---|---|---|\n"
        for rule in all {
            text +=
                "| `\(rule.id)` | \(rule.level.rawValue) | \(rule.title) | \(rule.reason) | \(rule.advice) |\n"
        }
        return text
    }
}

/// What the rules are asked about.
struct PreflightContext {
    let subject: CheckpointSubject
    let processes: [PreflightProcess]
    /// The mounts of init and of every other mount namespace in the container.
    let mounts: [MountInfo]
    /// Namespaces of init, by their file in `/proc/<pid>/ns`.
    let namespaces: [String: String]
    let canReadLimits: Bool

    init(_ subject: CheckpointSubject) throws {
        self.subject = subject
        processes = Proc.tree(from: subject.initPID).compactMap { PreflightProcess(pid: $0) }
        guard !processes.isEmpty else {
            throw CheckpointError(.notCheckpointable, "\(subject.name) does not run; start it first")
        }
        namespaces = PreflightProcess.namespaces(of: subject.initPID)
        var seen: Set<String> = []
        mounts = processes.flatMap { process -> [MountInfo] in
            let namespace = process.namespaces["mnt"] ?? ""
            guard seen.insert(namespace).inserted else { return [] }
            return (try? MountInfo.of(pid: process.pid)) ?? []
        }
        canReadLimits = Self.hasResourceCapability()
    }

    /// CAP_SYS_RESOURCE, which CRIU needs for processes of users outside its own namespace.
    private static func hasResourceCapability() -> Bool {
        guard let text = try? ProcessStatus.fields(pid: getpid())["CapEff"],
            let bits = UInt64(text, radix: 16)
        else {
            return false
        }
        return bits & (1 << 24) != 0
    }
}

/// One process of the container, as /proc shows it.
struct PreflightProcess {
    let pid: pid_t
    let inside: Int32
    let name: String
    let uid: UInt32
    let state: Character
    let threads: Int
    let tracer: pid_t
    let executable: String
    let descriptors: [(number: Int32, target: String)]
    let namespaces: [String: String]

    /// The systemd unit that it belongs to, in whichever hierarchy systemd keeps them.
    var unit: String? {
        SystemdUnit.name(inCgroups: (try? Files.text("/proc/\(pid)/cgroup")) ?? "")
    }

    init?(pid: pid_t) {
        guard let fields = try? ProcessStatus.fields(pid: pid) else { return nil }
        self.pid = pid
        let numbers = (fields["NSpid"] ?? "").split(whereSeparator: { $0 == "\t" || $0 == " " })
        inside = (numbers.count > 1 ? Int32(numbers[1]) : nil) ?? pid
        name = fields["Name"] ?? "?"
        uid = (fields["Uid"]?.split(separator: "\t").first).flatMap { UInt32($0) } ?? 0
        state = fields["State"]?.first ?? "?"
        threads = fields["Threads"].flatMap { Int($0) } ?? 1
        tracer = fields["TracerPid"].flatMap { pid_t($0) } ?? 0
        executable = (try? Files.readLink("/proc/\(pid)/exe")) ?? ""
        descriptors = (try? Proc.descriptors(pid)) ?? []
        namespaces = Self.namespaces(of: pid)
    }

    /// The links in `/proc/<pid>/ns`.
    static func namespaces(of pid: pid_t) -> [String: String] {
        var result: [String: String] = [:]
        for file in ["uts", "ipc", "user", "pid", "cgroup", "time", "mnt", "net"] {
            result[file] = try? Files.readLink("/proc/\(pid)/ns/\(file)")
        }
        return result
    }

    /// Lines of `/proc/<pid>/maps` that map something whose name begins so.
    func mappings(of prefix: String) -> [(range: String, permissions: String, name: String)] {
        let text = (try? Files.text("/proc/\(pid)/maps", limit: 64 << 20)) ?? ""
        return text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
            // The name is padded to a column.
            guard let name = words.dropFirst(5).first?.drop(while: { $0 == " " }), name.hasPrefix(prefix)
            else {
                return nil
            }
            return (String(words[0]), String(words[1]), String(name))
        }
    }
}
