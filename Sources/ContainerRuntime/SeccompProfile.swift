import CSeccomp
import Glibc
import LinuxSystem

/// The system calls a container may not make, and what they answer instead: an errno that makes programs fall
/// back to what they did before the call existed.
public struct SeccompProfile: Sendable {
    /// One refusal.
    struct Rule: Sendable, Equatable {
        /// The call's name.
        var call: String
        /// What it answers.
        var errno: Int32
        /// Refused only if (argument & mask) == value, where given.
        var argument: Argument?

        init(_ call: String, _ errno: Int32, _ argument: Argument? = nil) {
            self.call = call
            self.errno = errno
            self.argument = argument
        }
    }
    struct Argument: Sendable, Equatable {
        var index: UInt32
        var mask: UInt64
        var value: UInt64
    }

    let rules: [Rule]

    /// The rules for a container.
    public init(_ spec: ContainerSpec) {
        self.init(policy: spec.seccomp, checkpointable: !spec.nesting)
    }

    /// The rules of a policy, with those that keep the container checkpointable if asked for.
    public init(policy: SeccompPolicy, checkpointable: Bool) {
        var rules = checkpointable ? SeccompProfile.checkpointable : []
        if policy.usesDefaultDenyList { rules += SeccompProfile.denied }
        rules += policy.denied.map { Rule($0, EPERM) }
        self.rules = rules.filter { !policy.allowed.contains($0.call) }
    }

    /// What LXD refuses by default.
    static let denied: [Rule] =
        [
            "kexec_load", "kexec_file_load", "open_by_handle_at", "init_module", "finit_module",
            "delete_module",
        ]
        .map { Rule($0, ENOSYS) }
        // umount -f can hang or harm the host's file systems.
        + [Rule("umount2", EACCES, Argument(index: 1, mask: 1, value: 1))]

    /// What CRIU cannot save, so nobody may begin with it.
    static let checkpointable: [Rule] = {
        let newTime: UInt64 = 0x80
        // CRIU: "Can't dump nested uts namespace" (ipc, user, pid, cgroup alike); only mount and net may
        // nest.
        let nested: [UInt64] = [0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000]
        var rules: [Rule] = []
        for flag in nested {
            rules.append(Rule("clone", EPERM, Argument(index: 0, mask: flag, value: flag)))
            rules.append(Rule("unshare", EPERM, Argument(index: 0, mask: flag, value: flag)))
        }
        // In clone that bit is part of the exit signal.
        rules.append(Rule("unshare", EPERM, Argument(index: 0, mask: newTime, value: newTime)))
        return rules + [
            // Its flags are in memory, where no filter can look: libc falls back to clone.
            Rule("clone3", ENOSYS),
            // CRIU: "Unknown shit 600 (anon_inode:[io_uring])".
            Rule("io_uring_setup", ENOSYS), Rule("io_uring_enter", ENOSYS), Rule("io_uring_register", ENOSYS),
            // CRIU: "Can't dump file 3 of that type [600]".
            Rule("userfaultfd", ENOSYS), Rule("perf_event_open", EACCES),
            // CRIU: "Can't dump file … anon_inode:bpf-prog"; systemd goes on without.
            Rule("bpf", EPERM),
            // CRIU: "/secretmem (deleted)".
            Rule("memfd_secret", ENOSYS),
            // CRIU restores the task without its domain, and says nothing.
            Rule("landlock_create_ruleset", ENOSYS),
            // CRIU: "Unknown socket collected (family 40)" (AF_VSOCK).
            Rule("socket", EAFNOSUPPORT, Argument(index: 0, mask: 0xffff_ffff, value: 40)),
            // CRIU: "Unsupported proto 262" (MPTCP); programs fall back to TCP.
            Rule("socket", EPROTONOSUPPORT, Argument(index: 2, mask: 0xffff_ffff, value: 262)),
        ]
    }()

    /// The filter as the kernel loads it: an array of `struct sock_filter`.
    public func program() throws -> [UInt8] {
        guard let filter = seccomp_init(0x7fff_0000 /* SCMP_ACT_ALLOW */) else {
            throw SystemError(call: "seccomp_init", errno: ENOMEM, context: "make a seccomp filter")
        }
        defer { seccomp_release(filter) }
        // Programs for the processor's other modes exist inside too (32 bit); the same rules hold for them.
        for architecture in SeccompProfile.otherArchitectures {
            let number = seccomp_arch_resolve_name(architecture)
            if number != 0 { _ = seccomp_arch_add(filter, number) }
        }
        for rule in rules { try add(rule, to: filter) }
        let file = try FileDescriptor.memory(named: "apus-seccomp")
        let result = seccomp_export_bpf(filter, file.rawValue)
        if result != 0 {
            throw SystemError(
                call: "seccomp_export_bpf", errno: -result, context: "compile the seccomp filter")
        }
        return try file.readFromStart()
    }

    private func add(_ rule: Rule, to filter: scmp_filter_ctx) throws {
        let number = SeccompProfile.number(rule.call)
        // A call this libseccomp has never heard of cannot be refused by name.
        guard let number else { return }
        let action = 0x0005_0000 | UInt32(rule.errno)
        let result: Int32
        if let argument = rule.argument {
            var comparison = scmp_arg_cmp(
                arg: argument.index, op: SCMP_CMP_MASKED_EQ, datum_a: argument.mask, datum_b: argument.value)
            result = seccomp_rule_add_array(filter, action, number, 1, &comparison)
        } else {
            result = seccomp_rule_add_array(filter, action, number, 0, nil)
        }
        if result != 0, result != -EEXIST {
            throw SystemError(
                call: "seccomp_rule_add", errno: -result, context: "refuse the system call \(rule.call)")
        }
    }

    static func number(_ call: String) -> Int32? {
        let number = seccomp_syscall_resolve_name(call)
        if number != -1 { return number }
        // Younger than the library, and numbered alike on every architecture.
        return ["memfd_secret": 447, "landlock_create_ruleset": 444][call]
    }

    private static var otherArchitectures: [String] {
        #if arch(x86_64)
            ["x86", "x32"]
        #elseif arch(arm64)
            ["arm"]
        #else
            []
        #endif
    }
}
