import ContainerRuntime
import FoundationEssentials
import LinuxSystem
import Testing

@Suite("The specification")
struct SpecTests {
    private var spec: ContainerSpec {
        ContainerSpec(
            name: "c1", generation: 3, daemonID: "00c0ffee", runtimeDirectory: "/run/c1/3",
            rootfs: "/pool/c1",
            idmap: IDMap(base: 1_000_000))
    }

    @Test("It comes back from JSON as it was")
    func json() throws {
        var spec = spec
        spec.limits.memory = 1 << 30
        spec.seccomp.denied = ["chroot"]
        spec.environment = ["A": "b"]
        let json = try JSONEncoder().encode(spec)
        #expect(try JSONDecoder().decode(ContainerSpec.self, from: json) == spec)
    }

    @Test("Names follow from it")
    func names() {
        #expect(spec.cgroup == "apus-00c0ffee/c1.3")
        #expect(spec.innerCgroup == "apus-00c0ffee/c1.3/c")
        #expect(spec.rootMount == "/run/c1/3/root")
        #expect(!spec.isPrivileged)
    }

    @Test("systemd is told to leave pressure files alone, unless namespaces may nest")
    func environment() {
        var spec = spec
        #expect(ContainerEnvironment.forInit(spec).contains("MEMORY_PRESSURE_WATCH=/dev/null"))
        #expect(ContainerEnvironment.forInit(spec).contains("container=lxc"))
        spec.nesting = true
        #expect(!ContainerEnvironment.forInit(spec).contains { $0.contains("PRESSURE") })
    }

    @Test(
        "What a monitor writes about itself can be read",
        arguments: [nil, InitEnd.halted, .rebootRequested, .exited(3), .killed(9)])
    func status(_ end: InitEnd?) throws {
        let status = RuntimeStatus(
            isRunning: end == nil, runtimePID: 1, initPID: 2, initStartTicks: .max, startedAt: 4,
            initKind: .systemd,
            execSessions: 5, end: end)
        #expect(try JSONDecoder().decode(RuntimeStatus.self, from: Data(status.json.utf8)) == status)
    }
}
