import Checkpoint
import ContainerRuntime
import Glibc
import LinuxSystem
import Testing

/// A container on a bridge that is handed over: neighbours learn where it is without asking.
@Suite(.serialized, .enabled(if: Stage.isPossible, "needs root, an installed CRIU and bin/apus-runtime"))
struct HandOverAnnouncementTests {
    private let bridge = "aptl\(getpid() % 100_000)"
    private let address = "10.199.77.2"
    private let hardware = "00:16:3e:5a:a5:01"
    /// What the neighbour believes before: nobody has that address.
    private let wrong = "02:00:00:00:00:99"

    @Test func neighboursLearnTheNewPlaceAtOnce() async throws {
        try Stage.output(["ip", "link", "add", bridge, "type", "bridge"])
        defer { _ = try? Stage.output(["ip", "link", "delete", bridge]) }
        try Stage.output(["ip", "address", "add", "10.199.77.1/24", "dev", bridge])
        try Stage.output(["ip", "link", "set", bridge, "address", "02:00:00:00:77:01", "up"])
        // Another port: a bridge without any that is open forgets its neighbours.
        try Stage.output(["ip", "link", "add", bridge + "p", "type", "veth", "peer", "name", bridge + "q"])
        defer { _ = try? Stage.output(["ip", "link", "delete", bridge + "p"]) }
        try Stage.output(["ip", "link", "set", bridge + "p", "master", bridge, "up"])
        try Stage.output(["ip", "link", "set", bridge + "q", "up"])
        try await Stage.with { stage in
            let source = try await start(stage)
            let before = try await source.verify()
            let local = "fe80::216:3eff:fe5a:a501"
            for neighbour in [address, local] {
                try Stage.output([
                    "ip", "neighbour", "replace", neighbour, "lladdr", wrong, "dev", bridge, "nud", "stale",
                ])
            }
            let (sink, _) = try await Journey(stage: stage).move(source)
            for neighbour in [address, local] {
                try await eventually("\(neighbour) to be known as \(hardware)") {
                    try Stage.output(["ip", "neighbour", "show", neighbour, "dev", bridge]).contains(hardware)
                }
            }
            let port = try #require(sink.spec.interfaces.first?.hostName)
            #expect(
                try Stage.output(["bridge", "fdb", "show", "brport", port]).contains(hardware),
                "the bridge knows the new port")
            #expect(try await sink.verify().id == before.id)
            try await sink.connection.signalInit(SIGKILL)
            try await eventually("\(sink.spec.cgroup) to go") { sink.isGone }
        }
    }

    private func start(_ stage: Stage) async throws -> LiveContainer {
        var spec = stage.spec("a", generation: 1, rootfs: try stage.busybox())
        spec.interfaces = [
            NetworkInterface(
                kind: .veth, name: "eth0", address: hardware, hostName: bridge + "a", bridge: bridge)
        ]
        let status = try await stage.launcher.start(spec)
        let container = LiveContainer(spec: spec, initPID: status.initPID)
        try await container.waitUntilUp()
        let (code, text) = try await container.exec([
            "/bin/busybox", "ip", "address", "add", "\(address)/24", "dev", "eth0",
        ])
        guard code.isSuccess else { throw Trouble(text) }
        // Its link-local address has to be its own before it can be announced.
        try await eventually("eth0 to have its link-local address") {
            let (_, text) = try await container.exec(["/bin/busybox", "ip", "-6", "address", "show", "eth0"])
            return text.contains("fe80") && !text.contains("tentative")
        }
        return container
    }

    private func eventually(_ what: String, _ isTrue: () async throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(20)
        while try await !isTrue() {
            guard ContinuousClock.now < end else { throw Trouble("waited for \(what)") }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
