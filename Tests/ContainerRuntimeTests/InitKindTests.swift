import ContainerRuntime
import Glibc
import LinuxSystem
import Testing

@Suite("What init is")
struct InitKindTests {
    private func withRoot(_ make: (String) throws -> Void, _ check: (InitKind) -> Void) throws {
        let root =
            "\(Environment.value("TMPDIR") ?? "/tmp")/apus-init-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try Files.makeDirectories(root + "/sbin")
        defer { try? removeTree(root) }
        try make(root)
        check(InitKind.detect(root: root))
    }

    @Test("systemd by way of symlinks, absolute ones too")
    func systemd() throws {
        try withRoot {
            try Files.makeDirectories($0 + "/usr/lib/systemd")
            try Files.write($0 + "/usr/lib/systemd/systemd", "")
            symlink("/usr/lib", $0 + "/lib")
            symlink("/lib/systemd/systemd", $0 + "/sbin/init")
        } _: {
            #expect($0 == .systemd)
            #expect($0.stopSignal == 37)
        }
    }

    @Test("busybox")
    func busybox() throws {
        try withRoot {
            try Files.makeDirectories($0 + "/bin")
            try Files.write($0 + "/bin/busybox", "")
            symlink("../bin/busybox", $0 + "/sbin/init")
        } _: {
            #expect($0 == .busybox)
            #expect($0.stopSignal == SIGUSR2)
        }
    }

    @Test("Others are told by SIGPWR; so is one that is not there, or points out of the root")
    func others() throws {
        try withRoot {
            try Files.write($0 + "/sbin/init", "")
        } _: {
            #expect($0.stopSignal == SIGPWR)
        }
        try withRoot { _ in
        } _: {
            #expect($0 == .other)
        }
        try withRoot {
            symlink("../../../../../../../../lib/systemd/systemd", $0 + "/sbin/init")
        } _: {
            #expect($0 == .other)
        }
    }

    @Test("Init's end is read from its signal")
    func end() {
        #expect(InitEnd(.signaled(SIGHUP)) == .rebootRequested)
        #expect(InitEnd(.signaled(SIGINT)) == .halted)
        #expect(InitEnd(.signaled(SIGKILL)) == .killed(9))
        #expect(InitEnd(.exited(1)) == .exited(1))
    }
}
