import ApusCore
import ContainerRuntime
import Testing

@Suite("Configuration")
struct ConfigTests {
    @Test(
        "What is accepted",
        arguments: [
            ("limits.cpu", "2"), ("limits.cpu", "0-1,3"), ("limits.cpu.allowance", "50%"),
            ("limits.cpu.allowance", "25ms/100ms"), ("limits.memory", "512MiB"), ("limits.memory", "10%"),
            ("limits.processes", "100"), ("security.privileged", "true"), ("user.anything", "äöü"),
            ("environment.PATH", "/bin"), ("boot.autostart", "0"), ("image.os", "Debian"),
            ("limits.memory", ""),
        ])
    func accepted(key: String, value: String) throws {
        try ConfigCheck.check([key: value])
    }

    @Test(
        "What is refused",
        arguments: [
            ("limits.cpu", "0"), ("limits.cpu", "1-"), ("limits.cpu", "a"), ("limits.cpu.allowance", "150%"),
            ("limits.memory", "-1"), ("limits.memory", "12 parsecs"), ("limits.memory", "99999999999TiB"),
            ("limits.processes", "0"), ("security.privileged", "maybe"), ("limits.cpus", "1"), ("user.", "x"),
            ("raw.lxc", "lxc.rootfs=/"), ("volatile.uuid", "x"), ("environment.A=B", "x"),
            ("environment.A", "a\0b"),
        ])
    func refused(key: String, value: String) {
        #expect(throws: ServiceError.self) { try ConfigCheck.check([key: value]) }
    }

    @Test(
        "Each key of LXD 2.21 is accepted, or refused with a reason",
        arguments: [
            "boot.autostart", "boot.autostart.delay", "boot.autostart.priority", "boot.host_shutdown_timeout",
            "boot.stop.priority", "environment.A", "limits.cpu", "limits.cpu.allowance",
            "limits.cpu.priority",
            "limits.disk.priority", "limits.kernel.nofile", "limits.memory", "limits.memory.enforce",
            "limits.memory.swap", "limits.memory.swap.priority", "limits.network.priority",
            "limits.processes",
            "linux.kernel_modules", "migration.incremental.memory", "migration.incremental.memory.goal",
            "migration.incremental.memory.iterations", "raw.apparmor", "raw.idmap", "raw.lxc", "raw.seccomp",
            "security.devlxd", "security.idmap.base", "security.idmap.isolated", "security.idmap.size",
            "security.nesting", "security.privileged", "security.syscalls.blacklist",
            "security.syscalls.blacklist_compat", "security.syscalls.blacklist_default",
            "security.syscalls.whitelist", "user.x",
        ])
    func everyKeyOfLXD(key: String) {
        do {
            try ConfigCheck.check([key: ""])
        } catch {
            #expect("\(error)".contains("is not supported: "), "\(error)")
        }
    }

    @Test("Limits of the kernel have one number or two", arguments: KernelLimit.resources.map(\.name))
    func kernelLimits(name: String) throws {
        for good in ["0", "1000", "1000:2000", "unlimited", "5:unlimited", ""] {
            try ConfigCheck.check(["limits.kernel.\(name)": good])
        }
        for bad in ["-1", "2000:1000", "unlimited:1", "1:2:3", ":", "1:", "many", "٣"] {
            #expect(throws: ServiceError.self) { try ConfigCheck.check(["limits.kernel.\(name)": bad]) }
        }
    }

    @Test("A limit that the kernel does not have is told with those it has")
    func unknownKernelLimit() {
        let error = #expect(throws: ServiceError.self) { try ConfigCheck.check(["limits.kernel.x": "1"]) }
        #expect(error?.message.contains("nofile") == true)
    }

    @Test("A refusal says what is expected")
    func text() {
        do {
            try ConfigCheck.check(["limits.memory": "much"])
            Issue.record("it was accepted")
        } catch {
            #expect("\(error)".contains("512MiB"))
            #expect("\(error)".contains("limits.memory"))
        }
    }

    @Test("Values are read as LXD reads them")
    func values() {
        #expect(ConfigValues.bytes("1GB") == 1_000_000_000)
        #expect(ConfigValues.bytes("1GiB") == 1 << 30)
        #expect(ConfigValues.memory("50%", total: 1000) == 500)
        #expect(ConfigValues.cpus("0-2,2", online: 4) == .set([0, 1, 2]))
        #expect(ConfigValues.cpus("9", online: 4) == .count(9))
        #expect(ConfigValues.cpus("0-9", online: 4) == nil)
        #expect(ConfigValues.allowance("25ms/100ms") == .quota(25_000, period: 100_000))
    }

    @Test("Devices have a known type, and its keys")
    func devices() throws {
        try ConfigCheck.check(devices: [
            "root": ["type": "disk", "path": "/", "pool": "default", "user.note": "x"],
            "eth0": ["type": "none"],
        ])
        for bad in [
            ["type": "disk", "path": "/", "pol": "x"], ["type": "none", "path": "/"], [:], ["type": "x"],
        ] {
            #expect(throws: ServiceError.self) { try ConfigCheck.check(devices: ["d": bad]) }
        }
        #expect(throws: ServiceError.self) { try ConfigCheck.check(devices: ["a/b": ["type": "none"]]) }
        #expect(throws: ServiceError.self) { try ConfigCheck.check(devices: ["eth0": ["type": "nic"]]) }
        try ConfigCheck.check(devices: [
            "eth0": ["type": "nic", "network": "apusbr0", "hwaddr": "00:16:3e:01:02:03"]
        ])
        for bad in [
            ["network": "sixteen-letters-"], ["network": "b0", "hwaddr": "1:2"],
            ["network": "b0", "mtu": "1"],
            ["nictype": "sriov", "parent": "eth0"], ["nictype": "macvlan"], ["network": "b0", "name": "a/b"],
        ] {
            #expect(throws: ServiceError.self) {
                try ConfigCheck.check(devices: ["eth0": bad.merging(["type": "nic"]) { own, _ in own }])
            }
        }
        #expect(throws: ServiceError.self) {
            try ConfigCheck.check(devices: ["d": ["type": "disk", "path": "/srv"]])
        }
    }
}

@Suite("Names")
struct NameTests {
    @Test("Good container names", arguments: ["c1", "a", "web-01", "X", String(repeating: "a", count: 63)])
    func good(name: String) throws { try Names.checkInstance(name) }

    @Test(
        "Bad container names",
        arguments: [
            "", "1a", "-a", "a-", "a_b", "a.b", "a/b", "..", "ä", "a b", "a\0",
            String(repeating: "a", count: 64),
        ])
    func bad(name: String) {
        #expect(throws: ServiceError.self) { try Names.checkInstance(name) }
    }

    @Test("Bad snapshot names", arguments: ["", ".", "..", "a/b", "-x", "a b", "a\n"])
    func badSnapshots(name: String) {
        #expect(throws: ServiceError.self) { try Names.checkSnapshot(name) }
    }

    @Test("Alias names may have slashes, but not be paths")
    func aliases() throws {
        try Names.checkAlias("debian/12")
        for bad in ["", "/a", "a/", "a//b", "a/../b", "a b", "."] {
            #expect(throws: ServiceError.self) { try Names.checkAlias(bad) }
        }
    }

    @Test("A name that nobody chose is a good one")
    func random() throws {
        for _ in 0..<50 { try Names.checkInstance(Names.random()) }
    }
}

@Suite("Ranges of ids")
struct IDMapTests {
    @Test("Ranges never overlap, and come back when they are released")
    func ranges() throws {
        var allocator = IDMapAllocator(pool: 1000..<(1000 + 3 * 65_536))
        let first = try allocator.allocate("a")
        let second = try allocator.allocate("b")
        let third = try allocator.allocate("c")
        #expect(!first.overlaps(second) && !second.overlaps(third) && !first.overlaps(third))
        #expect(throws: ServiceError.self) { try allocator.allocate("d") }
        allocator.release("b")
        #expect(try allocator.allocate("d") == second)
        #expect(try allocator.allocate("a") == first)
    }

    @Test("A container keeps its range under a new name")
    func rename() throws {
        var allocator = IDMapAllocator()
        let range = try allocator.allocate("a")
        allocator.rename("a", to: "b")
        #expect(allocator.used["b"] == range)
        #expect(allocator.used["a"] == nil)
    }

    @Test("A chosen base must be free")
    func base() throws {
        var allocator = IDMapAllocator()
        _ = try allocator.allocate("a", base: 200_000)
        #expect(throws: ServiceError.self) { try allocator.allocate("b", base: 200_001) }
        #expect(try allocator.allocate("b", size: 100_000, base: 300_000).count == 100_000)
        #expect(throws: ServiceError.self) { try allocator.allocate("c", base: 4_294_950_000) }
    }

    @Test("The host's files say which ids are the daemon's")
    func hostFiles() {
        let file = "# comment\nann:100000:65536\nroot:1000000:1000000000\n"
        #expect(IDMapAllocator.pool(subuid: file, subgid: file) == 1_000_000..<1_001_000_000)
        #expect(IDMapAllocator.pool(subuid: "ann:100000:65536", subgid: file) == nil)
        #expect(IDMapAllocator.pool(subuid: "root:5000:10", subgid: file) == nil)
        #expect(IDMapAllocator.pool(subuid: "root:-1:99999999999999", subgid: file) == nil)
    }
}

@Suite("ETags and secrets")
struct ETagTests {
    @Test("The tag depends on the value alone")
    func tags() throws {
        #expect(try ETag.of(["a": "1", "b": "2"]) == ETag.of(["b": "2", "a": "1"]))
        #expect(try ETag.of(["a": "1"]) != ETag.of(["a": "2"]))
    }

    @Test("If-Match in all its forms")
    func match() throws {
        try ETag.check(nil, against: "abc")
        try ETag.check("*", against: "abc")
        try ETag.check("\"abc\"", against: "abc")
        try ETag.check("abc", against: "abc")
        try ETag.check("\"x\", \"abc\"", against: "abc")
        do {
            try ETag.check("\"old\"", against: "abc")
            Issue.record("an old tag was accepted")
        } catch let error as ServiceError {
            #expect(error.code == .preconditionFailed)
        }
    }

    @Test("Secrets compare as a whole")
    func secrets() {
        #expect(constantTimeEqual("abc", "abc"))
        #expect(!constantTimeEqual("abc", "abd"))
        #expect(!constantTimeEqual("abc", "abcd"))
        #expect(!constantTimeEqual("", "a"))
    }
}
