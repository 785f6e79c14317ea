import CLinux
import Glibc
import LinuxSystem

/// The last steps of a process before it executes a program inside the container.
struct ExecChild {
    let plan: MonitorPlan
    let request: ControlRequest.ExecMessage
    let report: FileDescriptor
    let target: ProcessDescriptor

    /// A failure with the code a shell would exit with.
    private struct Failure: Error {
        var code: Int32
        var message: String
    }

    func run(streams: [FileDescriptor]) -> Never {
        do {
            try join()
            _ = setsid()
            umask(0o022)
            let terminal = try request.terminal ? openTerminal() : nil
            try place(terminal.map { [$0, $0, $0] } ?? streams)
            try becomeUser()
            try enterDirectory()
            apus_unblock_all_signals()
            try execute()
        } catch let failure as Failure {
            try? report.send(ExecReport.failed(failure.code, failure.message).encoded())
        } catch {
            try? report.send(ExecReport.failed(126, "\(error)").encoded())
        }
        _exit(126)
    }

    private func join() throws {
        // Inside nobody may go beyond what the parent has.
        for limit in plan.kernelLimits { try limit.apply(to: 0) }
        var kinds: Namespaces = [.mount, .network, .uts, .ipc, .cgroup]
        if !plan.privileged { kinds.insert(.user) }
        // A restored container has clocks of its own; one that was started has the host's.
        do {
            try Namespaces.enter(target.descriptor, kinds.union(.time))
        } catch {
            try Namespaces.enter(target.descriptor, kinds)
        }
        // Until the user is chosen: root inside.
        try check("setresgid", "become root inside") { apus_setresgid(0) }
        try check("setresuid", "become root inside") { apus_setresuid(0) }
    }

    private func openTerminal() throws -> FileDescriptor {
        let terminal = try PTY.open(ptmx: "/dev/pts/ptmx")
        let slave = try terminal.openSlave()
        if request.rows > 0 || request.columns > 0 {
            try terminal.master.setWindowSize(rows: request.rows, columns: request.columns)
        }
        _ = fchown(slave.rawValue, request.uid, gid_t.max)
        try check("ioctl", "take the terminal") { apus_set_controlling_terminal(slave.rawValue) }
        try report.send(ExecReport.terminal.encoded(), descriptors: [terminal.master])
        return slave
    }

    private func place(_ streams: [FileDescriptor]) throws {
        guard streams.count == 3 else { throw WireReader.malformed }
        // Above 2 first: a stream may sit where another belongs.
        let parked = try streams.map { try $0.duplicate() }
        for (number, stream) in parked.enumerated() {
            try check("dup2", "connect input and output") { dup2(stream.rawValue, Int32(number)) }
        }
        try check("close_range", "close what the program must not have") { apus_close_range(3, ~0, 4) }
    }

    private func becomeUser() throws {
        try Capabilities.limitBoundingSet()
        if !plan.seccomp.isEmpty {
            try check("seccomp", "load the seccomp filter") {
                apus_seccomp_load(plan.seccomp, plan.seccomp.count)
            }
        }
        let groups = request.groups
        try check("setgroups", "set the groups of user \(request.uid)") {
            apus_setgroups(groups.count, groups)
        }
        try check("setresgid", "become group \(request.gid)") { apus_setresgid(request.gid) }
        try check("setresuid", "become user \(request.uid)") { apus_setresuid(request.uid) }
    }

    private func enterDirectory() throws {
        if !request.directory.isEmpty {
            guard chdir(request.directory) == 0 else {
                throw Failure(
                    code: 126,
                    message: "cannot enter the directory \(request.directory): \(SystemError.reason(errno))")
            }
        } else if request.uid != 0 || chdir("/root") != 0 {
            _ = chdir("/")
        }
    }

    private func execute() throws -> Never {
        var variables: [String: String] = [:]
        if request.uid == 0 {
            variables["HOME"] = "/root"
            variables["USER"] = "root"
        }
        for entry in plan.environment + request.environment {
            guard let equals = entry.firstIndex(of: "=") else { continue }
            variables[String(entry[..<equals])] = String(entry[entry.index(after: equals)...])
        }
        let name = request.command.first ?? ""
        let arguments = CStrings(request.command)
        let environment = CStrings(variables.map { "\($0.key)=\($0.value)" })
        var denied = false
        let directories = (variables["PATH"] ?? "").split(separator: ":", omittingEmptySubsequences: false)
        let candidates = name.contains("/") ? [name] : directories.map { $0.isEmpty ? name : "\($0)/\(name)" }
        for candidate in candidates {
            _ = withExtendedLifetime((arguments, environment)) {
                execve(candidate, arguments.pointer, environment.pointer)
            }
            switch errno {
            case ENOENT, ENOTDIR: continue
            case EACCES where !name.contains("/"): denied = true
            default:
                throw Failure(code: 126, message: "cannot execute \(candidate): \(SystemError.reason(errno))")
            }
        }
        if denied { throw Failure(code: 126, message: "cannot execute \(name): Permission denied") }
        throw Failure(code: 127, message: "command not found: \(name)")
    }
}
