import FoundationEssentials
public import LinuxSystem

/// Restores a container, holds it until the launcher says so, and becomes its monitor: the work of
/// `apus-runtime restore`.
public struct HeldContainer {
    private let spec: ContainerSpec
    private let options: RestoreOptions?

    /// Prepares the restore of a container. Without `options` the launcher tells later what to restore.
    public init(_ spec: ContainerSpec, _ options: RestoreOptions?) {
        self.spec = spec
        self.options = options
    }

    /// Restores it, waits for the launcher's word on `channel` (without one it goes on at once), and goes on
    /// as its monitor. Returns only by throwing; then nothing is left behind.
    public func run(channel: FileDescriptor?) throws -> Never {
        do {
            try restore(channel)
        } catch {
            let cgroup = ContainerCgroup(layout: try .current(), name: spec.cgroup)
            cgroup.kill()
            for step in [
                { try BorrowedInterfaces(runtimeDirectory: spec.runtimeDirectory).giveBack() },
                { try Mount.unmountAll(below: spec.runtimeDirectory) }, { try cgroup.removeSoon() },
            ] {
                do { try step() } catch { RuntimeLog.write("while undoing: \(error)") }
            }
            throw error
        }
    }

    private func restore(_ channel: FileDescriptor?) throws -> Never {
        let restore = try ContainerRestore(spec)
        try restore.prepare()
        let seccomp = try SeccompProfile(spec).program()
        let listener = try UnixSocket.listen(spec.controlSocket, .seqpacket)
        let (options, pages) = try awaitOptions(channel)
        let kind = InitKind.detect(root: spec.rootfs, command: spec.initCommand.first ?? "/sbin/init")
        let reachable = {
            if let channel {
                try? WireSocket.send(LaunchMessage.reachable.encoded(), on: channel, wait: false)
            }
        }
        let restored = try restore.run(options, pages: pages, reachable: reachable) { try hold($0, channel) }
        var plan = try MonitorPlan(
            spec: spec, layout: try .current(), initPID: restored.initPID, initKind: kind, seccomp: seccomp)
        plan.isRestored = true
        try plan.become(
            listener: listener, console: restored.console, channel: channel,
            announcement: restored.announcement, memory: restored.memory)
    }

    /// What is to be restored, and a socket for the memory that comes later.
    private func awaitOptions(_ channel: FileDescriptor?) throws -> (RestoreOptions, FileDescriptor?) {
        if let options { return (options, nil) }
        guard let channel else {
            throw RuntimeError(.restoreFailed, "apus-runtime was not told what to restore")
        }
        try WireSocket.send(LaunchMessage.prepared.encoded(), on: channel)
        let message = try channel.receive()
        guard let word = message.bytes.first, LaunchCommand(rawValue: word) == .restore else {
            throw Self.givenUp
        }
        let options = try JSONDecoder().decode(RestoreOptions.self, from: Data(message.bytes.dropFirst()))
        return (options, message.descriptors.first)
    }

    /// Tells the launcher that the container is there, and waits for its word. If the launcher has gone, that
    /// is a no.
    private func hold(_ pid: Int32, _ channel: FileDescriptor?) throws {
        guard let channel else { return }
        try WireSocket.send(LaunchMessage.held(initPID: pid).encoded(), on: channel)
        guard let word = try channel.receive(limit: 16).bytes.first, LaunchCommand(rawValue: word) == .commit
        else { throw Self.givenUp }
    }

    private static let givenUp = RuntimeError(.restoreFailed, "the restore was given up")
}
