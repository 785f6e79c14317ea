import ContainerRuntime
import LinuxSystem
import Testing

@Suite("The control protocol")
struct ProtocolTests {
    private static var exec: ControlRequest {
        var message = ControlRequest.ExecMessage()
        message.command = ["sh", "-c", "echo hallo wörld"]
        message.environment = ["A=b"]
        message.uid = 1000
        message.gid = 1001
        message.groups = [4, 5]
        message.directory = "/tmp"
        message.terminal = true
        message.rows = 24
        message.columns = 80
        return .exec(message)
    }

    private static let requests: [ControlRequest] = [
        .status, .watch, exec, .attachConsole, .consoleLog, .resizeConsole(rows: 1, columns: 65535),
        .signalInit(9),
        .stop, .reboot, .signalSession(15), .endSessions, .awaitMemory,
    ]

    private static let replies: [ControlReply] = [
        .status(
            RuntimeStatus(
                isRunning: false, runtimePID: 1, initPID: 2, initStartTicks: .max, startedAt: -1,
                initKind: .busybox,
                execSessions: 3, end: .killed(9))),
        .done, .failed("why"), .started(pid: 7), .execFailed(shellCode: 127, message: "no"),
        .exited(.exited(255)),
        .exited(.signaled(9)), .ended(.rebootRequested), .ended(.exited(1)), .console([0, 255]), .console([]),
    ]

    @Test("Requests come out as they went in", arguments: requests)
    func requestsReturn(_ request: ControlRequest) throws {
        #expect(try ControlRequest(decoding: request.encoded()) == request)
    }

    @Test("Replies come out as they went in", arguments: replies)
    func repliesReturn(_ reply: ControlReply) throws {
        #expect(try ControlReply(decoding: reply.encoded()) == reply)
        let held = LaunchMessage.held(initPID: 5)
        #expect(try LaunchMessage(decoding: held.encoded()) == held)
        #expect(try LaunchMessage(decoding: LaunchMessage.prepared.encoded()) == .prepared)
    }

    @Test("A message cut off anywhere is refused, never read beyond its end", arguments: requests)
    func truncated(_ request: ControlRequest) {
        let bytes = request.encoded()
        for length in 0..<bytes.count {
            #expect(throws: RuntimeError.self) { try ControlRequest(decoding: Array(bytes.prefix(length))) }
        }
        #expect(throws: RuntimeError.self) { try ControlRequest(decoding: bytes + [0]) }
    }

    @Test("Noise never crashes the decoder")
    func noise() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20000 {
            var bytes = (0..<Int.random(in: 0...40)).map { _ in UInt8.random(in: 0...255, using: &generator) }
            if !bytes.isEmpty { bytes[0] = UInt8.random(in: 0...12) }
            _ = try? ControlRequest(decoding: bytes)
            _ = try? ControlReply(decoding: bytes)
            _ = try? LaunchMessage(decoding: bytes)
            _ = try? MonitorPlan(decoding: bytes)
            _ = try? ExecOrder(decoding: bytes)
        }
    }

    @Test("A count that cannot be true does not reserve memory for it")
    func hugeCount() {
        #expect(throws: RuntimeError.self) {
            try ControlRequest(decoding: [3, 0xff, 0xff, 0xff, 0xff, 1, 2, 3])
        }
    }

    @Test("Signals that are none, empty commands and NUL bytes are refused")
    func hostile() {
        #expect(throws: RuntimeError.self) {
            try ControlRequest(decoding: ControlRequest.signalInit(0).encoded())
        }
        #expect(throws: RuntimeError.self) {
            try ControlRequest(decoding: ControlRequest.signalInit(-9).encoded())
        }
        #expect(throws: RuntimeError.self) {
            try ControlRequest(decoding: ControlRequest.signalSession(65).encoded())
        }
        var message = ControlRequest.ExecMessage()
        #expect(throws: RuntimeError.self) {
            try ControlRequest(decoding: ControlRequest.exec(message).encoded())
        }
        message.command = ["a\0b"]
        #expect(throws: RuntimeError.self) {
            try ControlRequest(decoding: ControlRequest.exec(message).encoded())
        }
    }

    @Test("A message too long for a packet travels all the same, with its descriptors")
    func long() throws {
        let (left, right) = try UnixSocket.pair(.seqpacket)
        let bytes = [UInt8](repeating: 42, count: 3 << 20)
        let pipe = try FileDescriptor.pipe()
        try WireSocket.send(bytes, on: left, descriptors: [pipe.write])
        let message = try #require(try WireSocket.receive(on: right))
        #expect(message.bytes == bytes)
        #expect(message.descriptors.count == 1)
        left.close()
        let end = try WireSocket.receive(on: right)
        #expect(end?.bytes == nil)
    }

    @Test("The plan of a monitor comes out as it went in")
    func plan() throws {
        var plan = MonitorPlan()
        plan.name = "c1"
        plan.hierarchies = ["/a", "/b"]
        plan.environment = ["X=y"]
        plan.kernelLimits = [try #require(KernelLimit(name: "nofile", "7:unlimited"))]
        plan.initKind = .systemd
        plan.privileged = true
        plan.isRestored = true
        plan.console = -1
        plan.seccomp = [1, 2, 3]
        plan.announcements = [.init(socket: 9, frames: [[1, 2], []])]
        plan.memoryPID = 77
        plan.memoryHolds = [10, 11]
        #expect(try MonitorPlan(decoding: plan.encoded()) == plan)
    }
}
