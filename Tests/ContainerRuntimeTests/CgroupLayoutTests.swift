import ContainerRuntime
import Glibc
import LinuxSystem
import Testing

/// Trees of plain directories and files that look like cgroup hierarchies.
private struct FakeHost: ~Copyable {
    let root: String

    init() throws {
        root =
            "\(Environment.value("TMPDIR") ?? "/tmp")/apus-cgroups-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try Files.makeDirectories(root)
    }

    deinit { try? removeTree(root) }

    func add(_ path: String, _ files: [String: String]) throws {
        try Files.makeDirectories(root + path)
        for (name, text) in files { try Files.write(root + path + "/" + name, text) }
    }

    func text(_ path: String) throws -> String { try Files.text(root + path) }
}

@Suite("Cgroup layouts")
struct CgroupLayoutTests {
    private static let v1Mounts = """
        30 27 0:26 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
        31 27 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
        32 27 0:28 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
        33 27 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
        34 27 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
        35 27 0:29 / /elsewhere rw - cgroup cgroup rw,memory
        36 27 0:31 /sub /below rw - cgroup cgroup rw,freezer
        """
    private static let v2Mount = "40 27 0:40 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate"

    @Test("v1: every hierarchy once, named ones too, parts of one not")
    func v1() {
        let layout = CgroupLayout.detect(MountInfo.parse(Self.v1Mounts))
        #expect(layout.kind == .v1)
        #expect(layout.hierarchies.count == 5)
        #expect(layout.hierarchy(for: "cpuacct")?.path == "/sys/fs/cgroup/cpu,cpuacct")
        #expect(layout.hierarchy(for: "name=systemd") != nil)
        #expect(layout.hierarchy(for: "freezer") == nil)
    }

    @Test("Hybrid: controllers on v1, and a unified hierarchy")
    func hybrid() throws {
        let host = try FakeHost()
        try host.add("/sys/fs/cgroup/unified", ["cgroup.controllers": "\n"])
        let layout = CgroupLayout.detect(
            MountInfo.parse(Self.v1Mounts + "\n" + Self.v2Mount), prefix: host.root)
        #expect(layout.kind == .hybrid)
        #expect(layout.unified?.controllers == [])
        #expect(layout.hierarchy(for: "memory")?.isV2 == false)
    }

    @Test("v2: the unified hierarchy has the controllers")
    func v2() throws {
        let host = try FakeHost()
        try host.add("/sys/fs/cgroup", ["cgroup.controllers": "cpuset cpu io memory pids\n"])
        let mounts = MountInfo.parse("40 27 0:40 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw")
        let layout = CgroupLayout.detect(mounts, prefix: host.root)
        #expect(layout.kind == .v2)
        #expect(layout.hierarchy(for: "pids")?.isV2 == true)
    }

    @Test("Limits go to the files of v2")
    func limitsV2() throws {
        let host = try FakeHost()
        let directory = "/cg/apus-1/c1.1"
        try host.add(
            directory,
            [
                "cpuset.cpus": "", "cpu.max": "", "cpu.weight": "", "memory.max": "", "memory.high": "",
                "memory.swap.max": "", "pids.max": "", "io.weight": "",
            ])
        let v2 = CgroupHierarchy(
            path: host.root + "/cg", controllers: ["cpuset", "cpu", "io", "memory", "pids"], isV2: true)
        let cgroup = ContainerCgroup(layout: CgroupLayout(hierarchies: [v2]), name: "apus-1/c1.1")
        var limits = ResourceLimits()
        limits.cpus = "0-1"
        limits.cpuQuota = .init(quota: 20000, period: 100_000)
        limits.cpuShare = 50
        limits.memory = 1 << 30
        limits.swap = false
        limits.processes = 100
        limits.diskPriority = 10
        try cgroup.applyLimits(limits)
        #expect(try host.text(directory + "/cpuset.cpus") == "0-1\n")
        #expect(try host.text(directory + "/cpu.max") == "20000 100000")
        #expect(try host.text(directory + "/cpu.weight") == "50")
        #expect(try host.text(directory + "/memory.max") == "1073741824")
        #expect(try host.text(directory + "/memory.high") == "max")
        #expect(try host.text(directory + "/memory.swap.max") == "0")
        #expect(try host.text(directory + "/pids.max") == "100")
        #expect(try host.text(directory + "/io.weight") == "1000")
        limits.memoryIsSoft = true
        try cgroup.applyLimits(limits)
        #expect(try host.text(directory + "/memory.max").hasPrefix("max"))
        #expect(try host.text(directory + "/memory.high") == "1073741824")
    }

    @Test("Limits go to the files of v1, of cpuset in every cgroup")
    func limitsV1() throws {
        let host = try FakeHost()
        func hierarchy(_ controller: String) -> CgroupHierarchy {
            CgroupHierarchy(path: host.root + "/" + controller, controllers: [controller], isV2: false)
        }
        try host.add("/cpuset", ["cpuset.cpus": "0-7\n"])
        try host.add("/cpuset/a/c1.1", ["cpuset.cpus": ""])
        try host.add("/cpuset/a/c1.1/c", ["cpuset.cpus": ""])
        try host.add("/cpu/a/c1.1", ["cpu.cfs_period_us": "", "cpu.cfs_quota_us": "", "cpu.shares": ""])
        try host.add(
            "/memory/a/c1.1",
            [
                "memory.limit_in_bytes": "", "memory.soft_limit_in_bytes": "", "memory.swappiness": "",
                "memory.usage_in_bytes": "5\n",
            ])
        try host.add("/pids/a/c1.1", ["pids.max": "", "pids.current": "3\n"])
        let layout = CgroupLayout(hierarchies: ["cpuset", "cpu", "memory", "pids"].map(hierarchy))
        let cgroup = ContainerCgroup(layout: layout, name: "a/c1.1")
        var limits = ResourceLimits()
        limits.cpus = "2"
        limits.memory = 4096
        try cgroup.applyLimits(limits)
        #expect(try host.text("/cpuset/a/c1.1/c/cpuset.cpus") == "2")
        #expect(try host.text("/cpu/a/c1.1/cpu.cfs_quota_us") == "-1")
        #expect(try host.text("/cpu/a/c1.1/cpu.shares") == "1024")
        #expect(try host.text("/memory/a/c1.1/memory.limit_in_bytes") == "4096")
        #expect(try host.text("/pids/a/c1.1/pids.max") == "max")
        try cgroup.applyLimits(ResourceLimits())
        #expect(try host.text("/cpuset/a/c1.1/cpuset.cpus").hasPrefix("0-7"))
        #expect(cgroup.statistics().memory == 5)
        #expect(cgroup.statistics().processes == 3)
    }

    @Test(
        "In cgroups that have just been made only limits there are get written, and swappiness, which v1 inherits"
    )
    func limitsOfFreshGroups() throws {
        let host = try FakeHost()
        func hierarchy(_ controller: String) -> CgroupHierarchy {
            CgroupHierarchy(path: host.root + "/" + controller, controllers: [controller], isV2: false)
        }
        try host.add("/cpuset", ["cpuset.cpus": "0-7\n"])
        try host.add("/cpuset/a/c1.1", ["cpuset.cpus": "0-7"])
        try host.add("/cpu/a/c1.1", ["cpu.cfs_quota_us": "as made", "cpu.shares": "as made"])
        try host.add(
            "/memory/a/c1.1",
            [
                "memory.limit_in_bytes": "as made", "memory.soft_limit_in_bytes": "as made",
                "memory.swappiness": "",
            ])
        try host.add("/pids/a/c1.1", ["pids.max": "as made"])
        try host.add("/blkio/a/c1.1", ["blkio.weight": "as made"])
        let layout = CgroupLayout(
            hierarchies: ["cpuset", "cpu", "memory", "pids", "blkio"].map(hierarchy))
        let cgroup = ContainerCgroup(layout: layout, name: "a/c1.1")
        try cgroup.applyLimits(ResourceLimits(), isFresh: true)
        for file in [
            "/cpu/a/c1.1/cpu.cfs_quota_us", "/cpu/a/c1.1/cpu.shares", "/memory/a/c1.1/memory.limit_in_bytes",
            "/memory/a/c1.1/memory.soft_limit_in_bytes", "/pids/a/c1.1/pids.max",
            "/blkio/a/c1.1/blkio.weight",
        ] {
            #expect(try host.text(file) == "as made")
        }
        #expect(try host.text("/memory/a/c1.1/memory.swappiness") == "60")
        var limits = ResourceLimits()
        limits.cpus = "2"
        limits.cpuShare = 50
        limits.processes = 9
        limits.memory = 4096
        limits.diskPriority = 10
        try cgroup.applyLimits(limits, isFresh: true)
        #expect(try host.text("/cpuset/a/c1.1/cpuset.cpus").hasPrefix("2"))
        #expect(try host.text("/cpu/a/c1.1/cpu.shares").hasPrefix("512"))
        #expect(try host.text("/memory/a/c1.1/memory.limit_in_bytes").hasPrefix("4096"))
        #expect(try host.text("/pids/a/c1.1/pids.max").hasPrefix("9"))
        #expect(try host.text("/blkio/a/c1.1/blkio.weight").hasPrefix("1000"))
    }

    @Test("A limit without a controller for it is an error that says so; no limit is fine")
    func missingController() throws {
        let host = try FakeHost()
        try host.add("/cg/a/c1.1", [:])
        let v2 = CgroupHierarchy(path: host.root + "/cg", controllers: [], isV2: true)
        let cgroup = ContainerCgroup(layout: CgroupLayout(hierarchies: [v2]), name: "a/c1.1")
        try cgroup.applyLimits(ResourceLimits())
        var limits = ResourceLimits()
        limits.memory = 1
        let error = #expect(throws: SystemError.self) { try cgroup.applyLimits(limits) }
        #expect(error?.description.contains("no memory cgroup controller") == true)
    }

    @Test("Cgroups are made below every hierarchy, with cpuset filled from above, and removed again")
    func create() throws {
        let host = try FakeHost()
        try host.add("/memory", [:])
        let layout = CgroupLayout(hierarchies: [
            CgroupHierarchy(path: host.root + "/memory", controllers: ["memory"], isV2: false)
        ])
        let cgroup = ContainerCgroup(layout: layout, name: "apus-1/c1.1")
        try cgroup.create(owner: nil)
        try cgroup.create(owner: nil)
        #expect(Files.isDirectory(host.root + "/memory/apus-1/c1.1/c/.apus-exec"))
        #expect(cgroup.procsFiles() == [host.root + "/memory/apus-1/c1.1/c/cgroup.procs"])
        try cgroup.remove()
        #expect(!Files.exists(host.root + "/memory/apus-1"))
        try cgroup.remove()
    }
}
