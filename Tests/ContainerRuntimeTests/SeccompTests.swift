import ContainerRuntime
import Glibc
import LinuxSystem
import Testing

@Suite("Seccomp")
struct SeccompTests {
    private static let isRoot = geteuid() == 0

    @Test(
        "What is refused under a filter, and with which errno",
        .enabled(if: isRoot, "needs root to load a filter"))
    func denied() throws {
        let results = try SeccompProfile(policy: SeccompPolicy(), checkpointable: true).probe([
            .init("unshare", [0x1000_0000]), .init("unshare", [0x0400_0000]), .init("clone3", [0, 0]),
            .init("io_uring_setup", [1, 0]), .init("socket", [40, 1, 0]), .init("socket", [2, 1, 262]),
            .init("landlock_create_ruleset", [0, 0, 1]), .init("bpf", [0, 0, 0]),
            .init("init_module", [0, 0, 0]),
            .init("userfaultfd", [0]),
        ])
        #expect(
            results == [
                EPERM, EPERM, ENOSYS, ENOSYS, EAFNOSUPPORT, EPROTONOSUPPORT, ENOSYS, EPERM, ENOSYS, ENOSYS,
            ])
    }

    @Test("What a container needs stays allowed", .enabled(if: isRoot, "needs root to load a filter"))
    func allowed() throws {
        let results = try SeccompProfile(policy: SeccompPolicy(), checkpointable: true).probe([
            .init("getpid", []), .init("socket", [1, 1, 0]), .init("socket", [2, 1, 0]),
            .init("unshare", [0x0002_0000]),
        ])
        #expect(results == [0, 0, 0, 0])
    }

    @Test(
        "Nesting lifts the restrictions, the deny list stays",
        .enabled(if: isRoot, "needs root to load a filter"))
    func nesting() throws {
        let results = try SeccompProfile(policy: SeccompPolicy(), checkpointable: false).probe([
            .init("unshare", [0x0400_0000]), .init("init_module", [0, 0, 0]),
        ])
        #expect(results == [0, ENOSYS])
    }

    @Test("A policy adds and takes away", .enabled(if: isRoot, "needs root to load a filter"))
    func policy() throws {
        var policy = SeccompPolicy()
        policy.denied = ["getpid", "no_such_call"]
        policy.allowed = ["bpf", "init_module"]
        let results = try SeccompProfile(policy: policy, checkpointable: true).probe([
            .init("getpid", []), .init("bpf", [0, 0, 0]),
        ])
        #expect(results[0] == EPERM)
        #expect(results[1] != EPERM)
    }
}
