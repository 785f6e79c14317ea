import CLinux
import Glibc
import LinuxSystem

/// A program that `exec` brought in, from the request until its exit is reported.
final class MonitorSession {
    let number: UInt32
    /// To the one who asked; closing it hangs the program up.
    let connection: FileDescriptor
    /// From the child: ends when it executes.
    let report: FileDescriptor
    let hasTerminal: Bool
    var terminal: FileDescriptor?
    var failure: (code: Int32, message: String)?
    var pid: pid_t?
    var executed = false
    var announced = false
    var status: ExitStatus?
    /// The one who asked has gone.
    var abandoned = false

    init(number: UInt32, connection: FileDescriptor, report: FileDescriptor, hasTerminal: Bool) {
        self.number = number
        self.connection = connection
        self.report = report
        self.hasTerminal = hasTerminal
    }

    func signal(_ signal: Int32) {
        guard let pid, status == nil else { return }
        // The child leads a session of its own, so its number is that of its process group too.
        if kill(-pid, signal) != 0 { _ = kill(pid, signal) }
    }
}

/// All programs that `exec` brought in, and the agent that executes them.
final class MonitorSessions {
    private let plan: MonitorPlan
    private var agent: (pid: pid_t, socket: FileDescriptor)?
    private(set) var all: [UInt32: MonitorSession] = [:]
    private var next: UInt32 = 0
    /// Ends of processes whose number the agent has not told yet.
    private var early: [pid_t: ExitStatus] = [:]
    /// Those who wait for all sessions to have gone.
    private var waiting: [FileDescriptor] = []

    init(plan: MonitorPlan) { self.plan = plan }

    /// The agent's socket, to be polled.
    var agentSocket: FileDescriptor? { agent?.socket }

    /// Starts the agent if there is none.
    func prepare() throws {
        if agent == nil { agent = try ExecAgent.start(plan) }
    }

    /// Begins a session, or answers why not.
    func begin(
        _ request: ControlRequest.ExecMessage, _ streams: [FileDescriptor], _ connection: FileDescriptor
    ) {
        do {
            guard streams.count == (request.terminal ? 0 : 3) else { throw WireReader.malformed }
            next &+= 1
            let (ours, theirs) = try UnixSocket.pair(.seqpacket)
            let order = ExecOrder(session: next, request: request).encoded()
            try prepare()
            do {
                try send(order, [theirs] + streams)
            } catch {
                // The agent may have been killed with the container's other processes, by its memory limit
                // for one.
                dropAgent()
                try prepare()
                try send(order, [theirs] + streams)
            }
            all[next] = MonitorSession(
                number: next, connection: connection, report: ours, hasTerminal: request.terminal)
        } catch {
            try? WireSocket.send(
                ControlReply.failed("cannot execute inside: \(error)").encoded(), on: connection, wait: false)
        }
    }

    private func send(_ order: [UInt8], _ descriptors: [FileDescriptor]) throws {
        guard let agent else { throw RuntimeError(.refused, "the agent for exec does not start") }
        try WireSocket.send(order, on: agent.socket, descriptors: descriptors, wait: false)
    }

    /// The agent tells the number of a child, or has gone.
    func readAgent() {
        guard let agent, let message = try? agent.socket.receive(wait: false), !message.bytes.isEmpty else {
            dropAgent()
            return
        }
        var input = WireReader(message.bytes)
        guard let number = try? input.uint32(), let pid = try? input.int32(), let session = all[number] else {
            return
        }
        if pid <= 0 { return }
        session.pid = pid
        if let status = early.removeValue(forKey: pid) { session.status = status }
        // Killed from outside since: it must not run on unseen.
        if session.abandoned { session.signal(SIGKILL) }
        proceed(session)
    }

    /// The child of a session has something to say before it executes, or has executed.
    func readReport(_ session: MonitorSession) {
        if let message = try? session.report.receive(wait: false), !message.bytes.isEmpty {
            switch try? ExecReport(decoding: message.bytes) {
            case .terminal: session.terminal = message.descriptors.first
            case .failed(let code, let text): session.failure = (code, text)
            case nil: break
            }
            return
        }
        session.report.close()
        session.executed = true
        proceed(session)
    }

    /// The one who asked sends a signal, or has gone.
    func readConnection(_ session: MonitorSession) {
        let message = try? WireSocket.receive(on: session.connection, wait: false)
        if let message, case .signalSession(let signal) = try? ControlRequest(decoding: message.bytes) {
            session.signal(signal)
        } else {
            hangUp(session)
        }
    }

    /// A child has ended. False if it is none of ours.
    func ended(_ pid: pid_t, _ status: ExitStatus) {
        if let agent, agent.pid == pid {
            dropAgent()
        } else if let session = all.values.first(where: { $0.pid == pid }) {
            session.status = status
            proceed(session)
        } else {
            early[pid] = status
        }
    }

    /// Hangs up every session; `connection` is answered when all have gone.
    func endAll(_ connection: FileDescriptor) {
        waiting.append(connection)
        for session in all.values {
            session.signal(SIGHUP)
            session.signal(SIGCONT)
            session.signal(SIGKILL)
        }
        answerWaiting()
    }

    /// Ends the agent, and waits for it.
    func stopAgent() {
        guard let pid = agent?.pid else { return }
        _ = kill(pid, SIGKILL)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        agent = nil
    }

    private func hangUp(_ session: MonitorSession) {
        session.abandoned = true
        session.terminal?.close()
        session.signal(SIGHUP)
        session.signal(SIGCONT)
        // A program without a terminal that ignores the hang-up would run on with nobody to see it.
        if !session.hasTerminal { session.signal(SIGTERM) }
        session.connection.close()
        proceed(session)
    }

    /// Reports what is known by now: first the start (or why not), then the end.
    private func proceed(_ session: MonitorSession) {
        guard session.executed else { return }
        if !session.announced {
            if let failure = session.failure {
                reply(.execFailed(shellCode: failure.code, message: failure.message), session)
                return finish(session)
            }
            guard let pid = session.pid else { return }
            session.announced = true
            reply(.started(pid: pid), session, session.terminal.map { [$0] } ?? [])
            session.terminal?.close()
            session.terminal = nil
        }
        if let status = session.status {
            reply(.exited(status), session)
            finish(session)
        }
    }

    private func reply(_ reply: ControlReply, _ session: MonitorSession, _ descriptors: [FileDescriptor] = [])
    {
        guard session.connection.isOpen else { return }
        try? WireSocket.send(reply.encoded(), on: session.connection, descriptors: descriptors, wait: false)
    }

    private func finish(_ session: MonitorSession) {
        session.connection.close()
        all[session.number] = nil
        answerWaiting()
    }

    private func answerWaiting() {
        guard all.isEmpty else { return }
        for connection in waiting {
            try? WireSocket.send(ControlReply.done.encoded(), on: connection, wait: false)
        }
        waiting = []
    }

    private func dropAgent() {
        guard let old = agent else { return }
        old.socket.close()
        stopAgent()
        // Orders it had not carried out will never be.
        for session in all.values where session.pid == nil && session.failure == nil {
            session.failure = (126, "the container's agent for exec was killed; try again")
            session.executed = true
            proceed(session)
        }
    }
}
