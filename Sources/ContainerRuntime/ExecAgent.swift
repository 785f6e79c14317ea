import CLinux
import Glibc
import LinuxSystem

/// A small copy of the monitor that stays in the container's cgroups and executes programs for it.
///
/// Moving a process into cgroups waits for the kernel's RCU, 8–16 ms each time. The agent moves itself once;
/// its children are born where they belong. They are made with CLONE_PARENT, so they are the monitor's
/// children.
///
/// In v2 the agent itself stays outside of what the container sees: in there it would be a process without a
/// number, at which systemd's tools give up ("Failed to dump process list … Input/output error").
struct ExecAgent {
    let plan: MonitorPlan
    let socket: FileDescriptor

    /// Starts the agent; its socket takes `ExecOrder`s.
    static func start(_ plan: MonitorPlan) throws -> (pid: pid_t, socket: FileDescriptor) {
        let (ours, theirs) = try UnixSocket.pair(.seqpacket)
        let pid = try check("clone", "start the agent for exec") { apus_fork(0) }
        if pid > 0 { return (pid, ours) }
        ours.close()
        ExecAgent(plan: plan, socket: theirs).run()
    }

    private func run() -> Never {
        do {
            _ = apus_prctl(4 /* PR_SET_DUMPABLE */, 0, 0, 0, 0)
            _ = apus_prctl(1 /* PR_SET_PDEATHSIG */, UInt(SIGKILL), 0, 0, 0)
            // Nothing of the monitor's but the way to it: its connections have to close when it closes them.
            for number in 3..<Int32(1024) where number != socket.rawValue { _ = close(number) }
            let target = try ProcessDescriptor(pid: plan.initPID)
            for hierarchy in plan.hierarchies {
                let place = hierarchy == plan.unified ? ContainerCgroup.agent : ExecAgent.sessions
                try Files.poke("\(hierarchy)/\(plan.cgroupName)/\(place)/cgroup.procs", "0")
            }
            // From here on children are born into the container's pid namespace.
            try Namespaces.enter(target.descriptor, .pid)
            while let message = try WireSocket.receive(on: socket) { try execute(message, target) }
        } catch {
            RuntimeLog.write("exec agent: \(error)")
        }
        _exit(1)
    }

    /// Makes the child and tells the monitor its number.
    private func execute(_ message: SocketMessage, _ target: ProcessDescriptor) throws {
        let order = try ExecOrder(decoding: message.bytes)
        guard let report = message.descriptors.first else { throw WireReader.malformed }
        let pid = fork()
        if pid == 0 {
            socket.close()
            ExecChild(plan: plan, request: order.request, report: report, target: target)
                .run(streams: Array(message.descriptors.dropFirst()))
        }
        if pid < 0 {
            let error = SystemError("clone", "start a process inside")
            try? report.send(ExecReport.failed(126, error.description).encoded())
        }
        var answer = WireWriter()
        answer.uint32(order.session)
        answer.int32(pid)
        try socket.send(answer.bytes)
    }

    private static let sessions = "\(ContainerCgroup.inner)/\(ContainerCgroup.execSessions)"

    /// A child in the container's cgroup for sessions. The container owns that cgroup and may have removed or
    /// changed it; then it is made anew, or the child stays in the agent's, under the same limits.
    private func fork() -> pid_t {
        let flags = UInt(APUS_CLONE_PARENT)
        guard !plan.unified.isEmpty else { return apus_fork(flags) }
        let path = "\(plan.unified)/\(plan.cgroupName)/\(ExecAgent.sessions)"
        _ = mkdir(path, 0o755)
        if let cgroup = try? FileDescriptor.open(path, O_RDONLY | O_DIRECTORY) {
            let pid = apus_fork_into(flags, cgroup.rawValue)
            if pid >= 0 { return pid }
        }
        return apus_fork(flags)
    }
}

/// What the monitor tells the agent. The first descriptor is for the child's report, then come its three
/// streams.
package struct ExecOrder {
    package var session: UInt32
    package var request: ControlRequest.ExecMessage

    package func encoded() -> [UInt8] {
        var out = WireWriter()
        out.uint32(session)
        out.data(ControlRequest.exec(request).encoded())
        return out.bytes
    }

    package init(session: UInt32, request: ControlRequest.ExecMessage) {
        self.session = session
        self.request = request
    }

    package init(decoding bytes: [UInt8]) throws {
        var input = WireReader(bytes)
        session = try input.uint32()
        guard case .exec(let request) = try ControlRequest(decoding: try input.data()) else {
            throw WireReader.malformed
        }
        self.request = request
        try input.end()
    }
}

/// What the child tells the monitor before it executes: the end of the socket means that it has.
package enum ExecReport: Equatable {
    /// The master of its terminal comes along.
    case terminal
    /// It cannot be executed.
    case failed(Int32, String)

    package func encoded() -> [UInt8] {
        var out = WireWriter()
        switch self {
        case .terminal: out.byte(1)
        case .failed(let code, let message):
            out.byte(2)
            out.int32(code)
            out.text(message)
        }
        return out.bytes
    }

    package init(decoding bytes: [UInt8]) throws {
        var input = WireReader(bytes)
        switch try input.byte() {
        case 1: self = .terminal
        case 2: self = .failed(try input.int32(), try input.text())
        default: throw WireReader.malformed
        }
    }
}
