import ContainerRuntime
import Glibc
import LinuxSystem

/// The table of what is in the way of a checkpoint. A new reason is one entry here.
enum PreflightRules {
    /// Something a process has that cannot be saved or brought back.
    struct ProcessRule: Sendable {
        let reason: String
        let advice: String
        /// What the process has, as the middle of a sentence: `has an io_uring ring open`.
        let find: @Sendable (PreflightProcess, PreflightContext) -> String?
    }

    /// Something about the container as a whole.
    struct ContainerRule: Sendable {
        let check: @Sendable (PreflightContext) -> CheckpointFinding?
    }

    private static let cannotSave = "CRIU cannot save that"
    private static let cannotBringBack = "CRIU saves that but cannot bring it back"
    private static let stopIt = "Stop it, or do without --stateful"

    static let ofProcess: [ProcessRule] = [
        ProcessRule(reason: cannotSave, advice: stopIt) { process, context in
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
        ProcessRule(reason: cannotSave, advice: "Stop it, or do without --stateful") { process, context in
            guard let own = process.namespaces["pid"], own != context.namespaces["pid"] else { return nil }
            return "is in a process namespace of its own"
        },
        open("anon_inode:[io_uring]", "an io_uring ring"),
        open("anon_inode:[userfaultfd]", "a userfaultfd"),
        open("anon_inode:[perf_event]", "a performance counter"),
        open("anon_inode:bpf-prog", "a BPF program"),
        open("anon_inode:bpf_link", "a BPF link"),
        open("anon_inode:[landlock-ruleset]", "a Landlock rule set"),
        open("/dev/fuse", "a FUSE connection"),
        open("/dev/vsock", "a vsock device"),
        open("/dev/kvm", "a virtual machine"),
        ProcessRule(reason: cannotSave, advice: stopIt) { process, _ in
            process.mappings(of: "/secretmem").isEmpty ? nil : "holds secret memory (memfd_secret)"
        },
        ProcessRule(reason: cannotBringBack, advice: stopIt) { process, _ in
            process.executable.hasPrefix("/memfd:") ? "runs from memory (\(process.executable))" : nil
        },
        ProcessRule(reason: cannotBringBack, advice: stopIt) { process, _ in
            for mapping in process.mappings(of: "/memfd:") where mapping.permissions.hasSuffix("s") {
                if isWriteSealed(process.pid, mapping.range) {
                    return "maps a sealed memory file (\(mapping.name))"
                }
            }
            return nil
        },
        ProcessRule(reason: cannotSave, advice: "Detach the debugger or strace") { process, _ in
            process.tracer == 0 ? nil : "is being traced"
        },
        ProcessRule(reason: cannotSave, advice: stopIt) { process, _ in
            process.state == "Z" && process.threads > 1 ? "has ended its main thread while others go on" : nil
        },
        ProcessRule(reason: cannotSave, advice: stopIt) { process, _ in
            for descriptor in process.descriptors where descriptor.target.hasPrefix("pipe:") {
                if openFlags(process.pid, descriptor.number) & 0o40000 != 0 {
                    return "has a pipe in packet mode open"
                }
            }
            return nil
        },
        ProcessRule(reason: cannotSave, advice: stopIt) { process, context in
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
        ProcessRule(
            reason: "CRIU cannot read its limits, because root lacks CAP_SYS_RESOURCE on this machine",
            advice: "Use an unprivileged container, or let only root's processes run in it"
        ) { process, context in
            guard context.subject.isPrivileged, !context.canReadLimits, process.uid != 0 else { return nil }
            return "belongs to user \(process.uid) in a privileged container"
        },
    ]

    static let ofContainer: [ContainerRule] = [
        ContainerRule { context in
            guard context.subject.allowsNesting else { return nil }
            return CheckpointFinding(
                object:
                    "\(context.subject.name) has security.nesting set, so its processes may make namespaces of their own",
                reason: "CRIU cannot save those",
                advice: "Unset security.nesting and restart the container, or do without --stateful")
        },
        ContainerRule { context in
            let subject = context.subject
            guard !subject.interfaces.isEmpty else { return nil }
            if let lent = subject.interfaces.first(where: { $0.kind == .physical }) {
                return CheckpointFinding(
                    object: "\(subject.name) has the host's interface \(lent.hostName), as \(lent.name)",
                    reason: "packets on its wire cannot be held back while sockets are saved",
                    advice: "Take the device out for that time, or do without --stateful")
            }
            let object: String
            if !DumpPlan.hasOneNetwork(subject.initPID) {
                object =
                    "\(subject.name) has processes in a network namespace of their own beside its interfaces"
            } else if let link = try? NetworkSettings.stranger(of: subject.initPID, subject.interfaces) {
                object =
                    "\(subject.name) has made the network interface \(link.name)"
                    + (link.kind.isEmpty ? "" : " (\(link.kind))")
            } else if NetworkSettings.hasPacketFilter(subject.initPID) {
                object = "\(subject.name) has a packet filter of its own"
            } else {
                return nil
            }
            return CheckpointFinding(
                object: object, reason: "Apus cannot bring that back",
                advice: "Remove it, or do without --stateful")
        },
        mount("an overlay", cannotBringBack) { $0.type == "overlay" },
        mount("a FUSE file system", cannotSave) {
            $0.type == "fuse" || $0.type == "fuseblk" || $0.type.hasPrefix("fuse.")
        },
        mount("a network namespace (ip netns)", cannotSave) { $0.type == "nsfs" },
        ContainerRule { context in
            let whole = Set(context.mounts.filter { $0.root == "/" }.map { [$0.major, $0.minor] })
            let stray = context.mounts.first { $0.type == "tmpfs" && !whole.contains([$0.major, $0.minor]) }
            return stray.map {
                CheckpointFinding(
                    object: "\($0.mountPoint) shows a part of a tmpfs of which the rest is mounted nowhere",
                    reason: cannotSave,
                    advice: "Set PrivateTmp=yes for the service that has it, or unmount it")
            }
        },
    ]

    private static func open(_ target: String, _ what: String) -> ProcessRule {
        ProcessRule(reason: "CRIU cannot save those", advice: stopIt) { process, _ in
            process.descriptors.contains { $0.target == target } ? "has \(what) open" : nil
        }
    }

    private static func mount(
        _ what: String, _ reason: String, _ matches: @escaping @Sendable (MountInfo) -> Bool
    ) -> ContainerRule {
        ContainerRule { context in
            context.mounts.first(where: matches).map {
                CheckpointFinding(
                    object: "\(what) is mounted on \($0.mountPoint)", reason: reason, advice: "Unmount it")
            }
        }
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
