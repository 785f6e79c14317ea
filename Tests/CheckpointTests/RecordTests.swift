import CRIU
import Checkpoint
import ContainerRuntime
import Foundation
import LinuxSystem
import Testing

/// What is remembered beside CRIU's images, and the machines that may restore it.
@Suite struct RecordTests {
    static let here = CheckpointCompatibility(
        criu: "4.2.1", kernel: "6.18.0", architecture: "x86_64", cpuFeatures: ["avx", "avx2", "sse2"],
        cgroupLayout: "hybrid", apus: "0.1")

    @Test func aRecordSurvivesTheDisk() throws {
        let record = CheckpointRecord(
            container: "c1", takenAt: 1_700_000_000.25, compatibility: Self.here,
            cgroups: [
                CheckpointCgroup(path: "", uid: 1_000_000, gid: 1_000_000, mode: 0o755, settings: [:]),
                CheckpointCgroup(
                    path: "system.slice/cron.service", uid: 1_000_000, gid: 1_000_000, mode: 0o755,
                    settings: ["pids.max": "100", "cgroup.subtree_control": "+pids"]),
            ],
            tasks: [
                CheckpointTask(
                    pid: 7, name: "cron", cgroup: "system.slice/cron.service",
                    threads: [CheckpointThread(tid: 7, affinity: "0-1,3", timerSlack: 1)],
                    coredumpFilter: "0000007f")
            ],
            externalMounts: [
                CheckpointExternalMount(
                    mountPoint: "/dev/null", key: "dev-null", source: .host(path: "/dev/null")),
                CheckpointExternalMount(mountPoint: "/sys/fs/cgroup", key: "cgroup", source: .cgroup),
            ],
            emptyNetwork: true, loopbackUp: true, networkSettings: ["core/somaxconn": "1024"],
            idmap: IDMap(base: 1_000_000))
        let copy = try JSONDecoder().decode(CheckpointRecord.self, from: JSONEncoder().encode(record))
        #expect(copy == record)
    }

    @Test func theSameMachineRestores() {
        #expect(Self.here.objection(to: Self.here) == nil)
    }

    @Test func aNewerKernelRestores() {
        var other = Self.here
        other.kernel = "7.2.1"
        other.cpuFeatures.append("avx512f")
        other.cgroupLayout = "v2"
        #expect(Self.here.objection(to: other) == nil)
    }

    @Test func anotherArchitectureDoesNot() throws {
        var other = Self.here
        other.architecture = "aarch64"
        #expect(try #require(Self.here.objection(to: other)).contains("aarch64"))
    }

    @Test func aProcessorWithLessDoesNot() throws {
        var other = Self.here
        other.cpuFeatures = ["sse2"]
        #expect(try #require(Self.here.objection(to: other)).contains("avx, avx2"))
    }

    @Test func anOlderCRIUDoesNot() throws {
        var other = Self.here
        other.criu = "4.1.1"
        #expect(try #require(Self.here.objection(to: other)).contains("4.1.1"))
        other.criu = "4.2"
        #expect(Self.here.objection(to: other) == nil)
    }
}

/// When a dump is tried again.
@Suite struct RetryTests {
    @Test func pausesGrowAndStayBounded() {
        #expect(RetryRule.pause(after: 1) == .milliseconds(10))
        #expect(RetryRule.pause(after: 2) == .milliseconds(20))
        #expect(RetryRule.pause(after: 7) == .milliseconds(640))
        #expect(RetryRule.pause(after: 100) == .milliseconds(640))
        #expect(RetryRule.pause(after: 0) == .milliseconds(10))
    }
}

/// What a finding reads like.
@Suite struct FindingTests {
    @Test func aFindingIsOneSentenceAndAdvice() {
        let finding = CheckpointFinding(
            id: "io-uring", pid: 412, process: "qemu", object: "has an io_uring ring open",
            reason: "CRIU cannot save those",
            advice: "Stop it, or do without --stateful")
        #expect(
            finding.description
                == "process 412 (qemu) has an io_uring ring open; CRIU cannot save those. Stop it, or do without --stateful"
        )
    }

    @Test func hostMountsAreExternal() throws {
        let text = """
            21 20 0:5 /null /dev/null rw,nosuid - devtmpfs udev rw
            22 20 0:5 /tty /dev/tty rw,nosuid - devtmpfs udev rw
            70 69 0:38 /x/c /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - cgroup2 cgroup2 rw
            71 69 0:39 / /dev/shm rw - tmpfs tmpfs rw
            """
        let mounts = DumpPlan.externalMounts(MountInfo.parse(text))
        #expect(mounts.map(\.key) == ["dev-null", "dev-tty", "cgroup"])
        #expect(mounts.last?.source == .cgroup)
    }
}
