import CRIU
import Glibc
import LinuxSystem
import Testing

/// Settings of the host that are changed for a while. Others on this machine may need them meanwhile, so what can be
/// said is that they are enough while they are needed.
@Suite(.serialized, .enabled(if: geteuid() == 0, "needs root"))
struct HostTuningTests {
    private func value(_ file: String) throws -> String { try Files.text(file).trimmingSpaces }

    @Test func largePipesAreAllowedWhileSomebodyNeedsThem() throws {
        let file = "/proc/sys/fs/pipe-max-size"
        let former = try value(file)
        let first = try #require(HostTuning.allowLargePipes())
        #expect(try #require(Int(value(file))) >= 4 << 20)
        let second = try #require(HostTuning.allowLargePipes())
        first.undo()
        first.undo()
        #expect(try #require(Int(value(file))) >= 4 << 20, "the second one still needs it")
        second.undo()
        #expect(try value(file) == former)
    }

    @Test func faultDescriptorsAreAllowedForTheTime() throws {
        let file = "/proc/sys/vm/unprivileged_userfaultfd"
        let former = try value(file)
        do {
            let tuning = try #require(HostTuning.allowFaultDescriptors())
            #expect(try value(file) == "1")
            withExtendedLifetime(tuning) {}
        }
        #expect(try value(file) == former, "forgotten is as good as undone")
    }

    @Test func whatAKilledProcessLeftIsPutBack() throws {
        let file = "/proc/sys/vm/unprivileged_userfaultfd"
        guard try value(file) == "0" else { return }
        try Files.write("/dev/shm/apus-unprivileged-userfaultfd", "0")
        try Files.poke(file, "1")
        HostTuning.recover()
        #expect(try value(file) == "0")
    }
}
