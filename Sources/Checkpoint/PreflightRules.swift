import ContainerRuntime
import Glibc
import LinuxSystem

/// The table of what is in the way of a checkpoint. A new reason is one entry here.
enum PreflightRules {
    /// Something that a process, or the container as a whole, has and that stands in the way.
    struct Rule: Sendable {
        /// A name for it that stays the same: `io-uring`.
        let id: String
        /// What is looked for, as a title: `An io_uring ring`.
        let title: String
        var level = CheckpointFinding.Level.blocks
        let reason: String
        let advice: String
        let find: Find
    }

    /// How it is found; what is found is a sentence, or for a process the middle of one: `has an io_uring ring open`.
    enum Find: Sendable {
        case process(@Sendable (PreflightProcess, PreflightContext) -> String?)
        case container(@Sendable (PreflightContext) -> String?)
    }

    static let all = ofProcess + ofContainer

    private static let cannotSave = "CRIU cannot save that"
    private static let cannotBringBack = "CRIU saves that but cannot bring it back"
    private static let stopIt = "Stop it, or do without --stateful"

    private static let ofProcess: [Rule] = [
        process(
            "nested-namespace", "A namespace of its own: host name, IPC, user, control group or time",
            cannotSave
        ) { process, context in
            let kinds = [
                "uts": "host name", "ipc": "IPC", "user": "user", "cgroup": "control group", "time": "time",
            ]
            for (file, kind) in kinds.sorted(by: { $0.key < $1.key }) {
                if let own = process.namespaces[file], let init1 = context.namespaces[file], own != init1 {
                    return "is in a \(kind) namespace of its own"
                }
            }
            return nil
        },
        process("nested-processes", "A process namespace of its own", cannotSave) { process, context in
            guard let own = process.namespaces["pid"], own != context.namespaces["pid"] else { return nil }
            return "is in a process namespace of its own"
        },
        open("io-uring", "anon_inode:[io_uring]", "an io_uring ring"),
        open("userfaultfd", "anon_inode:[userfaultfd]", "a userfaultfd"),
        open("performance-counter", "anon_inode:[perf_event]", "a performance counter"),
        open("bpf-program", "anon_inode:bpf-prog", "a BPF program"),
        open("bpf-link", "anon_inode:bpf_link", "a BPF link"),
        open("landlock-rules", "anon_inode:[landlock-ruleset]", "a Landlock rule set"),
        open("fuse-connection", "/dev/fuse", "a FUSE connection"),
        open("vsock-device", "/dev/vsock", "a vsock device"),
        open("virtual-machine", "/dev/kvm", "a virtual machine"),
        process("secret-memory", "Secret memory (memfd_secret)", cannotSave) { process, _ in
            process.mappings(of: "/secretmem").isEmpty ? nil : "holds secret memory (memfd_secret)"
        },
        process("runs-from-memory", "A program that runs from a memory file", cannotBringBack) { process, _ in
            process.executable.hasPrefix("/memfd:") ? "runs from memory (\(process.executable))" : nil
        },
        process("sealed-memory", "A memory file that is sealed against writing, and mapped", cannotBringBack)
        {
            process, _ in
            for mapping in process.mappings(of: "/memfd:") where mapping.permissions.hasSuffix("s") {
                if isWriteSealed(process.pid, mapping.range) {
                    return "maps a sealed memory file (\(mapping.name))"
                }
            }
            return nil
        },
        process("traced", "A process that is being traced", cannotSave, "Detach the debugger or strace") {
            process, _ in
            process.tracer == 0 ? nil : "is being traced"
        },
        process("dead-main-thread", "A process whose main thread has ended while others go on", cannotSave) {
            process, _ in
            process.state == "Z" && process.threads > 1 ? "has ended its main thread while others go on" : nil
        },
        process("packet-pipe", "A pipe in packet mode (O_DIRECT)", cannotSave) { process, _ in
            for descriptor in process.descriptors where descriptor.target.hasPrefix("pipe:") {
                if openFlags(process.pid, descriptor.number) & 0o40000 != 0 {
                    return "has a pipe in packet mode open"
                }
            }
            return nil
        },
        process("message-queue", "A POSIX message queue", cannotSave) { process, context in
            let queues = Set(context.mounts.filter { $0.type == "mqueue" }.map(\.id))
            guard !queues.isEmpty else { return nil }
            for descriptor in process.descriptors
            where descriptor.target.hasPrefix("/") && !descriptor.target.dropFirst().contains("/") {
                let mount = try? Proc.descriptorInfo(process.pid, descriptor.number)["mnt_id"]?.first
                if let mount, let number = Int(mount), queues.contains(number) {
                    return "has the POSIX message queue \(descriptor.target) open"
                }
            }
            return nil
        },
        process(
            "unreadable-limits",
            "A process of another user than root in a privileged container, on some machines",
            "CRIU cannot read its limits, because root lacks CAP_SYS_RESOURCE on this machine",
            "Use an unprivileged container, or let only root's processes run in it"
        ) { process, context in
            guard context.subject.isPrivileged, !context.canReadLimits, process.uid != 0 else { return nil }
            return "belongs to user \(process.uid) in a privileged container"
        },
        Rule(
            id: "uninterruptible", title: "A process that waits for a disk, or a file server",
            level: .transient,
            reason: "it cannot be stopped before that answers", advice: "Try again when it does",
            find: .process { process, _ in
                process.state == "D" ? "waits for a disk or a file server (state D)" : nil
            }),
    ]

    private static let ofContainer: [Rule] = [
        Rule(
            id: "nesting", title: "security.nesting", reason: "CRIU cannot save those",
            advice: "Unset security.nesting and restart the container, or do without --stateful",
            find: .container { context in
                guard context.subject.allowsNesting else { return nil }
                return
                    "\(context.subject.name) has security.nesting set, so its processes may make namespaces of their own"
            }),
        Rule(
            id: "borrowed-interface", title: "An interface of the host (nictype physical)",
            reason: "packets on its wire cannot be held back while sockets are saved",
            advice: "Take the device out for that time, or do without --stateful",
            find: .container { context in
                context.subject.interfaces.first { $0.kind == .physical }.map {
                    "\(context.subject.name) has the host's interface \($0.hostName), as \($0.name)"
                }
            }),
        network("network-namespaces", "Network namespaces of its own, beside its interfaces") { subject in
            guard !DumpPlan.hasOneNetwork(subject.initPID) else { return nil }
            return "\(subject.name) has processes in a network namespace of their own beside its interfaces"
        },
        network("own-interface", "A network interface that it has made") { subject in
            guard DumpPlan.hasOneNetwork(subject.initPID) else { return nil }
            return (try? NetworkSettings.stranger(of: subject.initPID, subject.interfaces)).flatMap { $0 }.map
            {
                "\(subject.name) has made the network interface \($0.name)"
                    + ($0.kind.isEmpty ? "" : " (\($0.kind))")
            }
        },
        network("packet-filter", "A packet filter of its own (nftables, iptables)") { subject in
            guard DumpPlan.hasOneNetwork(subject.initPID) else { return nil }
            return NetworkSettings.hasPacketFilter(subject.initPID)
                ? "\(subject.name) has a packet filter of its own" : nil
        },
        mount("overlay", "an overlay", cannotBringBack) { $0.type == "overlay" },
        mount("fuse-mount", "a FUSE file system", cannotSave) {
            $0.type == "fuse" || $0.type == "fuseblk" || $0.type.hasPrefix("fuse.")
        },
        mount("namespace-mount", "a network namespace (ip netns)", cannotSave) { $0.type == "nsfs" },
        Rule(
            id: "part-of-tmpfs", title: "A part of a tmpfs of which the rest is mounted nowhere",
            reason: cannotSave,
            advice: "Set PrivateTmp=yes for the service that has it, or unmount it",
            find: .container { context in
                let whole = Set(context.mounts.filter { $0.root == "/" }.map { [$0.major, $0.minor] })
                let stray = context.mounts.first {
                    $0.type == "tmpfs" && !whole.contains([$0.major, $0.minor])
                }
                return stray.map {
                    "\($0.mountPoint) shows a part of a tmpfs of which the rest is mounted nowhere"
                }
            }),
    ]

    private static func process(
        _ id: String, _ title: String, _ reason: String, _ advice: String = stopIt,
        _ find: @escaping @Sendable (PreflightProcess, PreflightContext) -> String?
    ) -> Rule {
        Rule(id: id, title: title, reason: reason, advice: advice, find: .process(find))
    }

    private static func open(_ id: String, _ target: String, _ what: String) -> Rule {
        process(id, what.prefix(1).uppercased() + what.dropFirst(), "CRIU cannot save those") { process, _ in
            process.descriptors.contains { $0.target == target } ? "has \(what) open" : nil
        }
    }

    private static func network(
        _ id: String, _ title: String, _ find: @escaping @Sendable (CheckpointSubject) -> String?
    ) -> Rule {
        Rule(
            id: id, title: title, reason: "Apus cannot bring that back",
            advice: "Remove it, or do without --stateful",
            find: .container { context in
                // Without interfaces the whole network is CRIU's, which saves it.
                context.subject.interfaces.isEmpty ? nil : find(context.subject)
            })
    }

    private static func mount(
        _ id: String, _ what: String, _ reason: String, _ matches: @escaping @Sendable (MountInfo) -> Bool
    ) -> Rule {
        Rule(
            id: id, title: what.prefix(1).uppercased() + what.dropFirst() + ", mounted", reason: reason,
            advice: "Unmount it",
            find: .container { context in
                context.mounts.first(where: matches).map { "\(what) is mounted on \($0.mountPoint)" }
            })
    }

    private static func openFlags(_ pid: pid_t, _ number: Int32) -> Int {
        guard let text = (try? Proc.descriptorInfo(pid, number))?["flags"]?.first else { return 0 }
        return Int(text, radix: 8) ?? 0
    }

    /// F_GET_SEALS of the file behind a mapping.
    private static func isWriteSealed(_ pid: pid_t, _ range: String) -> Bool {
        let getSeals: Int32 = 1034
        let sealWrite: Int32 = 0x8
        guard let file = try? FileDescriptor.open("/proc/\(pid)/map_files/\(range)", O_RDONLY) else {
            return false
        }
        let seals = fcntl(file.rawValue, getSeals)
        return seals > 0 && seals & sealWrite != 0
    }
}
