package import LinuxSystem

/// What a client of the control socket asks for. Each connection begins with one request.
package enum ControlRequest: Equatable {
    /// One `status` comes back.
    case status
    /// `done` comes back, later `ended`.
    case watch
    /// `started` (with the master of the terminal) or `execFailed` comes back, later `exited`. Descriptors:
    /// three streams, or none for a terminal.
    case exec(ExecMessage)
    /// `console` comes back, with a stream socket to the console.
    case attachConsole
    /// `console` comes back, without a socket.
    case consoleLog
    /// `done` comes back.
    case resizeConsole(rows: UInt16, columns: UInt16)
    /// `done` comes back.
    case signalInit(Int32)
    /// For init what "shut down" is; `done` comes back.
    case stop
    /// For init what "restart" is; `done` comes back.
    case reboot
    /// On the connection of an exec session: signals its process group; nothing comes back.
    case signalSession(Int32)
    /// Hangs up all exec sessions; `done` comes back when all have gone.
    case endSessions
    /// `done` comes back when all memory of a restored container has come, or `failed` if it never will.
    case awaitMemory

    /// An exec without its descriptors.
    package struct ExecMessage: Equatable {
        package init() {}
        package var command: [String] = []
        package var environment: [String] = []
        package var uid: UInt32 = 0
        package var gid: UInt32 = 0
        package var groups: [UInt32] = []
        package var directory = ""
        package var terminal = false
        package var rows: UInt16 = 0
        package var columns: UInt16 = 0
    }
}

/// What comes back.
package enum ControlReply: Equatable {
    case status(RuntimeStatus)
    case done
    case failed(String)
    case started(pid: Int32)
    case execFailed(shellCode: Int32, message: String)
    case exited(ExitStatus)
    case ended(InitEnd)
    case console([UInt8])
}

extension ControlRequest {
    package func encoded() -> [UInt8] {
        var out = WireWriter()
        switch self {
        case .status: out.byte(1)
        case .watch: out.byte(2)
        case .exec(let message):
            out.byte(3)
            out.list(message.command) { $0.text($1) }
            out.list(message.environment) { $0.text($1) }
            out.uint32(message.uid)
            out.uint32(message.gid)
            out.list(message.groups) { $0.uint32($1) }
            out.text(message.directory)
            out.flag(message.terminal)
            out.uint32(UInt32(message.rows) << 16 | UInt32(message.columns))
        case .attachConsole: out.byte(4)
        case .consoleLog: out.byte(5)
        case .resizeConsole(let rows, let columns):
            out.byte(6)
            out.uint32(UInt32(rows) << 16 | UInt32(columns))
        case .signalInit(let signal):
            out.byte(7)
            out.int32(signal)
        case .stop: out.byte(8)
        case .reboot: out.byte(9)
        case .signalSession(let signal):
            out.byte(10)
            out.int32(signal)
        case .endSessions: out.byte(11)
        case .awaitMemory: out.byte(12)
        }
        return out.bytes
    }

    package init(decoding bytes: [UInt8]) throws {
        var input = WireReader(bytes)
        switch try input.byte() {
        case 1: self = .status
        case 2: self = .watch
        case 3:
            var message = ExecMessage()
            message.command = try input.list { try $0.text() }
            message.environment = try input.list { try $0.text() }
            message.uid = try input.uint32()
            message.gid = try input.uint32()
            message.groups = try input.list { try $0.uint32() }
            message.directory = try input.text()
            message.terminal = try input.flag()
            (message.rows, message.columns) = try ControlRequest.size(&input)
            let texts = message.command + message.environment + [message.directory]
            guard message.command.first?.isEmpty == false, !texts.contains(where: { $0.utf8.contains(0) })
            else {
                throw WireReader.malformed
            }
            self = .exec(message)
        case 4: self = .attachConsole
        case 5: self = .consoleLog
        case 6:
            let (rows, columns) = try ControlRequest.size(&input)
            self = .resizeConsole(rows: rows, columns: columns)
        case 7: self = .signalInit(try ControlRequest.signal(&input))
        case 8: self = .stop
        case 9: self = .reboot
        case 10: self = .signalSession(try ControlRequest.signal(&input))
        case 11: self = .endSessions
        case 12: self = .awaitMemory
        default: throw WireReader.malformed
        }
        try input.end()
    }

    private static func size(_ input: inout WireReader) throws -> (UInt16, UInt16) {
        let both = try input.uint32()
        return (UInt16(both >> 16), UInt16(both & 0xffff))
    }

    private static func signal(_ input: inout WireReader) throws -> Int32 {
        let signal = try input.int32()
        guard (1...64).contains(signal) else { throw WireReader.malformed }
        return signal
    }
}

extension ControlReply {
    package func encoded() -> [UInt8] {
        var out = WireWriter()
        switch self {
        case .status(let status):
            out.byte(1)
            out.flag(status.isRunning)
            out.int32(status.runtimePID)
            out.int32(status.initPID)
            out.uint64(status.initStartTicks)
            out.int64(status.startedAt)
            out.text(status.initKind.rawValue)
            out.uint32(UInt32(status.execSessions))
            out.flag(status.end != nil)
            if let end = status.end { end.encode(&out) }
        case .done: out.byte(2)
        case .failed(let message):
            out.byte(3)
            out.text(message)
        case .started(let pid):
            out.byte(4)
            out.int32(pid)
        case .execFailed(let code, let message):
            out.byte(5)
            out.int32(code)
            out.text(message)
        case .exited(let status):
            out.byte(6)
            switch status {
            case .exited(let code):
                out.byte(0)
                out.int32(code)
            case .signaled(let signal):
                out.byte(1)
                out.int32(signal)
            }
        case .ended(let end):
            out.byte(7)
            end.encode(&out)
        case .console(let bytes):
            out.byte(8)
            out.data(bytes)
        }
        return out.bytes
    }

    package init(decoding bytes: [UInt8]) throws {
        var input = WireReader(bytes)
        switch try input.byte() {
        case 1:
            var status = RuntimeStatus(
                isRunning: try input.flag(), runtimePID: try input.int32(), initPID: try input.int32(),
                initStartTicks: try input.uint64(), startedAt: try input.int64(),
                initKind: InitKind(rawValue: try input.text()) ?? .other,
                execSessions: Int(try input.uint32()))
            if try input.flag() { status.end = try InitEnd(from: &input) }
            self = .status(status)
        case 2: self = .done
        case 3: self = .failed(try input.text())
        case 4: self = .started(pid: try input.int32())
        case 5: self = .execFailed(shellCode: try input.int32(), message: try input.text())
        case 6:
            let signaled = try input.flag()
            let number = try input.int32()
            self = .exited(signaled ? .signaled(number) : .exited(number))
        case 7: self = .ended(try InitEnd(from: &input))
        case 8: self = .console(try input.data())
        default: throw WireReader.malformed
        }
        try input.end()
    }
}

extension InitEnd {
    func encode(_ out: inout WireWriter) {
        switch self {
        case .halted: out.byte(0)
        case .rebootRequested: out.byte(1)
        case .exited(let code):
            out.byte(2)
            out.int32(code)
        case .killed(let signal):
            out.byte(3)
            out.int32(signal)
        }
    }

    init(from input: inout WireReader) throws {
        switch try input.byte() {
        case 0: self = .halted
        case 1: self = .rebootRequested
        case 2: self = .exited(try input.int32())
        case 3: self = .killed(try input.int32())
        default: throw WireReader.malformed
        }
    }
}
