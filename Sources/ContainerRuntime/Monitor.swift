import CLinux
import Glibc
import LinuxSystem

/// The process that stays beside a running container: parent of init, holder of the console, server of the
/// control socket. One thread, one poll loop, nothing that grows.
public final class Monitor {
    private let plan: MonitorPlan
    private let listener: FileDescriptor
    private let console: MonitorConsole?
    private let sessions: MonitorSessions
    private let arrival: MonitorArrival
    private let signals: FileDescriptor
    private let initProcess: ProcessDescriptor
    private var idle: [FileDescriptor] = []
    private var watchers: [FileDescriptor] = []
    private var end: InitEnd?
    /// Signals that init is not ready for yet, and how many more times to look.
    private var postponed: [Int32] = []
    private var patience = 0

    /// Takes over the descriptors of a plan.
    init(_ plan: MonitorPlan) throws {
        self.plan = plan
        listener = FileDescriptor(owning: plan.listener)
        for number in [plan.listener, plan.console, plan.channel] where number >= 0 {
            _ = fcntl(number, F_SETFD, FD_CLOEXEC)
        }
        signals = FileDescriptor(
            owning: try check("signalfd", "hear of signals") { apus_signalfd([SIGCHLD, SIGTERM], 2) })
        initProcess = try ProcessDescriptor(pid: plan.initPID)
        console =
            plan.console < 0
            ? nil
            : try MonitorConsole(
                master: FileDescriptor(owning: plan.console), log: plan.consoleLog, goesOn: plan.isRestored)
        sessions = MonitorSessions(plan: plan)
        arrival = MonitorArrival(plan)
    }

    /// The work of `apus-runtime monitor`: reads the plan from an inherited descriptor, and stays until init
    /// ends.
    public static func run(planDescriptor: Int32) throws {
        let file = FileDescriptor(owning: planDescriptor)
        let plan = try MonitorPlan(decoding: try file.readFromStart())
        file.close()
        let monitor = try Monitor(plan)
        monitor.announce()
        monitor.loop()
        monitor.leave()
    }

    private var status: RuntimeStatus {
        RuntimeStatus(
            isRunning: end == nil, runtimePID: getpid(), initPID: plan.initPID,
            initStartTicks: plan.initStartTicks,
            startedAt: plan.startedAt, initKind: plan.initKind, execSessions: sessions.all.count, end: end)
    }

    private func announce() {
        writeStatus()
        guard plan.channel >= 0 else { return }
        let channel = FileDescriptor(owning: plan.channel)
        try? WireSocket.send(LaunchMessage.running(status).encoded(), on: channel)
        channel.close()
        // Made now, so that the first exec does not wait for the cgroups.
        try? sessions.prepare()
    }

    // MARK: The loop

    private func loop() {
        // SIGCHLD may have come while the program was executed anew.
        reap()
        while end == nil {
            var entries: [pollfd] = []
            var actions: [(Int16) -> Void] = []
            func watch(
                _ descriptor: FileDescriptor, _ events: Int32 = POLLIN, _ action: @escaping (Int16) -> Void
            ) {
                entries.append(pollfd(fd: descriptor.rawValue, events: Int16(events), revents: 0))
                actions.append(action)
            }
            watch(signals) { [unowned self] _ in readSignals() }
            watch(listener) { [unowned self] _ in accept() }
            if let timer = arrival.timer { watch(timer) { [unowned self] _ in arrival.announce() } }
            watchConsole(watch)
            watchSessions(watch)
            for connection in idle { watch(connection) { [unowned self] _ in serve(connection) } }
            for connection in watchers { watch(connection) { [unowned self] _ in forget(connection) } }
            let limit = arrival.patience >= 0 ? arrival.patience : postponed.isEmpty ? -1 : 20
            if poll(&entries, nfds_t(entries.count), limit) < 0, errno != EINTR {
                RuntimeLog.write("poll: \(SystemError.reason(errno))")
                return
            }
            sendPostponed()
            arrival.attend()
            for (entry, action) in zip(entries, actions) where entry.revents != 0 { action(entry.revents) }
        }
    }

    private func watchConsole(_ watch: (FileDescriptor, Int32, @escaping (Int16) -> Void) -> Void) {
        guard let console else { return }
        watch(console.master, console.typed.isEmpty ? POLLIN : POLLIN | POLLOUT) { events in
            if events & Int16(POLLOUT) != 0 { console.flushTyped() }
            if events & Int16(POLLIN | POLLHUP) != 0 { console.drain() }
        }
        for each in console.attached {
            // Nobody may type faster than the terminal reads.
            let wanted = (console.typed.isEmpty ? POLLIN : 0) | (each.pending.isEmpty ? 0 : POLLOUT)
            watch(each.stream, wanted) { events in
                if events & Int16(POLLOUT) != 0 { console.flush(each) }
                if events & Int16(POLLIN | POLLHUP | POLLERR) != 0 { console.read(from: each) }
            }
        }
    }

    private func watchSessions(_ watch: (FileDescriptor, Int32, @escaping (Int16) -> Void) -> Void) {
        let sessions = self.sessions
        if let agent = sessions.agentSocket { watch(agent, POLLIN) { _ in sessions.readAgent() } }
        for session in sessions.all.values {
            if session.report.isOpen { watch(session.report, POLLIN) { _ in sessions.readReport(session) } }
            if session.connection.isOpen {
                watch(session.connection, POLLIN) { _ in sessions.readConnection(session) }
            }
        }
    }

    private func readSignals() {
        // Records of 128 bytes, of which the first four are the signal's number.
        while let record = try? signals.read(upTo: 128), record.count == 128 {
            if record[0] == UInt8(SIGTERM) { ask(plan.initKind.stopSignal) }
        }
        reap()
    }

    private func reap() {
        var how: Int32 = 0
        var status: Int32 = 0
        while true {
            let pid = apus_wait_any(1, &how, &status)
            guard pid > 0, let ended = ExitStatus.from(how: how, status: status) else { return }
            if pid == plan.initPID {
                end = InitEnd(ended)
            } else if arrival.ended(pid, ended) {
                // Those who miss a page wait for ever.
                guard let reason = arrival.reasonToEnd else { continue }
                RuntimeLog.write(reason)
                initProcess.signal(SIGKILL)
            } else {
                sessions.ended(pid, ended)
            }
        }
    }

    /// Sends init a signal, but not before it listens: the kernel drops what init has no handler for, and an
    /// init that has only just begun has none.
    private func ask(_ signal: Int32) {
        postponed.append(signal)
        patience = 500
        sendPostponed()
    }

    private func sendPostponed() {
        guard !postponed.isEmpty else { return }
        patience -= 1
        let fields = (try? ProcessStatus.fields(pid: plan.initPID)) ?? [:]
        let heard = ["SigCgt", "SigBlk"].reduce(UInt64(0)) { $0 | (UInt64(fields[$1] ?? "", radix: 16) ?? 0) }
        postponed.removeAll { signal in
            // busybox waits by sigtimedwait(), during which the kernel does not show what it listens to: that it
            // has any handler has to do.
            let wanted = plan.initKind == .systemd ? 1 << UInt64(signal - 1) : UInt64.max
            guard heard & wanted != 0 || patience <= 0 else { return false }
            initProcess.signal(signal)
            return true
        }
    }

    // MARK: The control socket

    private func accept() {
        guard let connection = try? UnixSocket.accept(listener), let peer = try? connection.peerCredentials(),
            peer.uid == 0
        else { return }
        idle.append(connection)
    }

    private func forget(_ connection: FileDescriptor) {
        connection.close()
        idle.removeAll { $0 === connection }
        watchers.removeAll { $0 === connection }
    }

    private func serve(_ connection: FileDescriptor) {
        let message: SocketMessage
        let request: ControlRequest
        do {
            guard let received = try WireSocket.receive(on: connection, wait: false) else {
                return forget(connection)
            }
            message = received
            request = try ControlRequest(decoding: received.bytes)
        } catch {
            reply(.failed("\(error)"), to: connection)
            return forget(connection)
        }
        switch request {
        case .exec(let order):
            idle.removeAll { $0 === connection }
            sessions.begin(order, message.descriptors, connection)
        case .endSessions:
            idle.removeAll { $0 === connection }
            sessions.endAll(connection)
        case .awaitMemory:
            idle.removeAll { $0 === connection }
            arrival.answerWhenComplete(connection)
        case .watch:
            idle.removeAll { $0 === connection }
            watchers.append(connection)
            reply(.done, to: connection)
        default: answer(request, connection)
        }
    }

    private func answer(_ request: ControlRequest, _ connection: FileDescriptor) {
        switch request {
        case .status: reply(.status(status), to: connection)
        case .signalInit(let signal):
            initProcess.signal(signal)
            reply(.done, to: connection)
        case .stop:
            ask(plan.initKind.stopSignal)
            reply(.done, to: connection)
        case .reboot:
            if let signal = plan.initKind.rebootSignal { ask(signal) }
            reply(.done, to: connection)
        case .consoleLog: reply(.console(console?.recent ?? []), to: connection)
        case .attachConsole:
            guard let console else {
                return reply(.failed("container \(plan.name) has no console"), to: connection)
            }
            do {
                let recent = console.recent
                reply(.console(recent), to: connection, [try console.attach()])
            } catch {
                reply(.failed("\(error)"), to: connection)
            }
        case .resizeConsole(let rows, let columns):
            try? console?.master.setWindowSize(rows: rows, columns: columns)
            reply(.done, to: connection)
        default: reply(.failed("this request has no meaning here"), to: connection)
        }
    }

    private func reply(
        _ reply: ControlReply, to connection: FileDescriptor, _ descriptors: [FileDescriptor] = []
    ) {
        try? WireSocket.send(reply.encoded(), on: connection, descriptors: descriptors, wait: false)
    }

    // MARK: The end

    /// Init has gone, and with it every process of its pid namespace: removes what is left on the host, and
    /// tells.
    private func leave() {
        while console?.drain() == true {}
        sessions.stopAgent()
        arrival.end()
        reap()
        let hierarchies = plan.hierarchies.map { CgroupHierarchy(path: $0, controllers: [], isV2: false) }
        let cgroup = ContainerCgroup(layout: CgroupLayout(hierarchies: hierarchies), name: plan.cgroupName)
        attempt { try BorrowedInterfaces(runtimeDirectory: plan.runtimeDirectory).giveBack() }
        attempt { try Mount.unmountAll(below: plan.runtimeDirectory) }
        attempt { try cgroup.removeSoon() }
        writeStatus()
        if let end {
            for watcher in watchers { reply(.ended(end), to: watcher) }
        }
        unlink(plan.runtimeDirectory + "/control.sock")
    }

    private func attempt(_ body: () throws -> Void) {
        do { try body() } catch { RuntimeLog.write("cleaning up after \(plan.name): \(error)") }
    }

    private func writeStatus() {
        let text = status.json
        attempt { try Files.replace(plan.statusFile, Array(text.utf8), sync: false) }
    }
}

extension RuntimeStatus {
    /// As `status.json` has it, without the help of Foundation.
    package var json: String {
        let why = end.map { "\"\($0.text)\"" } ?? "null"
        return """
            {
              "end" : \(why),
              "execSessions" : \(execSessions),
              "initKind" : "\(initKind.rawValue)",
              "initPID" : \(initPID),
              "initStartTicks" : \(initStartTicks),
              "isRunning" : \(isRunning),
              "runtimePID" : \(runtimePID),
              "startedAt" : \(startedAt)
            }

            """
    }
}
