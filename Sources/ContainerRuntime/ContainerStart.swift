import CLinux
import Glibc
public import LinuxSystem

/// Starts a container: the work of `apus-runtime start`, in a process of one thread.
public struct ContainerStart {
    private let spec: ContainerSpec
    private let cgroup: ContainerCgroup
    private let initKind: InitKind

    /// Prepares the start of a container.
    public init(_ spec: ContainerSpec) throws {
        self.spec = spec
        cgroup = ContainerCgroup(layout: try .current(), name: spec.cgroup)
        initKind = InitKind.detect(root: spec.rootfs, command: spec.initCommand.first ?? "/sbin/init")
    }

    /// Starts it and goes on as its monitor, which tells `channel` that it runs. Returns only by throwing;
    /// then nothing is left behind.
    public func run(channel: FileDescriptor?) throws -> Never {
        try withSyncRollback(onUndoFailure: { RuntimeLog.write("while undoing: \($0)") }) { rollback in
            rollback.add { try cgroup.removeSoon() }
            try cgroup.create(owner: spec.idmap)
            try cgroup.applyLimits(spec.limits, isFresh: true)
            rollback.add { try Mount.unmountAll(below: spec.rootMount) }
            try RootFileSystem.mount(spec)
            let seccomp = try SeccompProfile(spec).program()
            let listener = try UnixSocket.listen(spec.controlSocket, .seqpacket)
            let (ours, theirs) = try UnixSocket.pair(.seqpacket)
            let pid = try fork(ours: ours, theirs: theirs, seccomp: seccomp)
            rollback.add {
                _ = kill(pid, SIGKILL)
                var status: Int32 = 0
                _ = waitpid(pid, &status, 0)
            }
            theirs.close()
            try spec.idmap?.apply(to: pid)
            rollback.add { try BorrowedInterfaces(runtimeDirectory: spec.runtimeDirectory).giveBack() }
            for interface in spec.interfaces {
                rollback.add { try interface.remove() }
                try interface.make(
                    in: try Namespaces.open(.network, of: pid), notedIn: spec.runtimeDirectory)
            }
            // If the child has died meanwhile, what it said last is the better error: it is read below.
            try? ours.send([Signal.mapped.rawValue])
            try cgroup.join(pid)
            for limit in spec.kernelLimits { try limit.apply(to: pid) }
            try? ours.send([Signal.placed.rawValue])
            let console = try awaitExecution(ours)
            let plan = try MonitorPlan(
                spec: spec, layout: cgroup.layout, initPID: pid, initKind: initKind, seccomp: seccomp)
            try plan.become(listener: listener, console: console, channel: channel)
        }
    }

    /// What the parent tells the child.
    private enum Signal: UInt8 {
        /// The user namespace has its maps.
        case mapped = 1
        /// The process is in its cgroups.
        case placed = 2
    }

    private func fork(ours: FileDescriptor, theirs: FileDescriptor, seccomp: [UInt8]) throws -> pid_t {
        var kinds: Namespaces = [.mount, .pid, .network, .uts, .ipc]
        if !spec.isPrivileged { kinds.insert(.user) }
        let pid = try check("clone", "make the namespaces of \(spec.name)") {
            apus_fork(UInt(kinds.rawValue))
        }
        if pid > 0 { return pid }
        ours.close()
        do {
            try becomeInit(theirs, seccomp: seccomp)
        } catch {
            try? theirs.send([0] + Array("\(error)".utf8))
        }
        _exit(127)
    }

    /// Waits for the console's master, and for the end of the socket, which is the execution of init.
    private func awaitExecution(_ socket: FileDescriptor) throws -> FileDescriptor? {
        var console: FileDescriptor?
        while true {
            let message = try socket.receive()
            switch message.bytes.first {
            case nil: return console
            case 1: console = message.descriptors.first
            default:
                let text = String(decoding: message.bytes.dropFirst(), as: UTF8.self)
                throw RuntimeError(.startFailed, text)
            }
        }
    }

    // MARK: In the child

    private func becomeInit(_ parent: FileDescriptor, seccomp: [UInt8]) throws {
        // Now, as long as this is still the host's root, who may search the host's directories; and not
        // earlier, because it has to be a mount of this namespace.
        let root = try FileDescriptor.open(spec.rootMount, OpenFlags.path | O_DIRECTORY)
        let disks = try spec.disks.map { try Disks.open($0, at: spec.diskMount($0.name)) }
        try expect(.mapped, from: parent)
        try check("setresgid", "become the container's root") { apus_setresgid(0) }
        try check("setresuid", "become the container's root") { apus_setresuid(0) }
        try check("setgroups", "drop supplementary groups") { apus_setgroups(0, nil) }
        _ = setsid()
        umask(0o022)
        try check("sethostname", "set the host name to \(spec.hostname)") {
            sethostname(spec.hostname, spec.hostname.utf8.count)
        }
        let settings = initKind == .systemd && !spec.nesting
        try RootFileSystem.enter(root, privileged: spec.isPrivileged, systemdSettings: settings, disks: disks)
        {
            try expect(.placed, from: parent)
            try Namespaces.unshare(.cgroup)
        }
        try check("ioctl", "bring lo up") { apus_loopback_up() }
        let terminal: FileDescriptor
        if spec.console {
            let console = try RootFileSystem.openConsole()
            try parent.send([1], descriptors: [console.master])
            console.master.close()
            terminal = console.slave
        } else {
            terminal = try FileDescriptor.open("/dev/null", O_RDWR)
        }
        try Capabilities.limitBoundingSet()
        let arguments = CStrings(spec.initCommand)
        let environment = CStrings(ContainerEnvironment.forInit(spec))
        guard let program = spec.initCommand.first else {
            throw SystemError(call: "execve", errno: EINVAL, context: "execute init: no command is given")
        }
        for number in Int32(0)...2 {
            try check("dup2", "give init its console") { dup2(terminal.rawValue, number) }
        }
        // CRIU saves every descriptor of init: it gets these three and no other.
        try check("close_range", "close what init must not have") { apus_close_range(3, ~0, 4) }
        try check("seccomp", "load the seccomp filter") { apus_seccomp_load(seccomp, seccomp.count) }
        _ = withExtendedLifetime((arguments, environment)) {
            execve(program, arguments.pointer, environment.pointer)
        }
        throw SystemError("execve", "execute \(program) inside the container")
    }

    private func expect(_ signal: Signal, from parent: FileDescriptor) throws {
        guard try parent.receive(limit: 64).bytes == [signal.rawValue] else {
            throw SystemError(call: "recvmsg", errno: EPIPE, context: "hear from apus-runtime")
        }
    }
}
