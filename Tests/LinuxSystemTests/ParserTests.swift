import LinuxSystem
import Testing

@Suite("Parsers of kernel files")
struct ParserTests {
    @Test("An id map is three numbers a line")
    func idMap() throws {
        let entries = try IDMap.parse("         0    1000000      65536\n     65536 5 10\n")
        #expect(
            entries == [
                IDMapEntry(inside: 0, outside: 1_000_000, count: 65536),
                IDMapEntry(inside: 65536, outside: 5, count: 10),
            ])
    }

    @Test(
        "Id maps that make no sense are refused",
        arguments: ["0 1", "0 1 2 3", "a b c", "0 0 0", "4294967295 0 2", "-1 0 1", "0 4294967000 1000"])
    func badIDMap(_ text: String) {
        #expect(throws: SystemError.self) { try IDMap.parse(text) }
    }

    @Test("Ids are translated where the map has them")
    func translate() {
        let map = IDMap(base: 100_000, count: 1000)
        #expect(map.hostUser(0) == 100_000)
        #expect(map.hostGroup(999) == 100_999)
        #expect(map.hostUser(1000) == nil)
    }

    @Test("mountinfo: optional fields, escapes, roots")
    func mountInfo() throws {
        let text = """
            27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
            40 27 0:33 /0 /dev/console rw shared:2 master:1 - devpts devpts rw,gid=5
            41 27 0:34 / /a\\040b\\134c rw - tmpfs none rw
            nonsense
            42 27 0:35 / /x rw - ext4
            """
        let mounts = MountInfo.parse(text)
        #expect(mounts.count == 3)
        #expect(mounts[0].propagation == ["shared:1"])
        #expect(mounts[0].superOptions == ["rw", "discard"])
        #expect(mounts[1].root == "/0")
        #expect(mounts[1].propagation == ["shared:2", "master:1"])
        #expect(mounts[2].mountPoint == "/a b\\c")
        #expect(mounts[2].propagation.isEmpty)
    }

    @Test("The mounts of this process can be read")
    func ownMounts() throws {
        #expect(try MountInfo.current().contains { $0.mountPoint == "/" })
    }

    @Test("/proc/<pid>/stat: names with brackets and spaces")
    func stat() throws {
        let line =
            "42 (a) R (b) S 1 42 42 0 -1 4194560 1 0 0 0 7 9 0 0 20 0 3 0 12345 1 2 18446744073709551615 0\n"
        let status = try #require(ProcessStatus(stat: line))
        #expect(status.name == "a) R (b")
        #expect(status.state == "S")
        #expect(status.userTicks == 7)
        #expect(status.systemTicks == 9)
        #expect(status.threads == 3)
        #expect(status.startTicks == 12345)
        #expect(!status.isEnding)
        let ending = line.replacing("4194560", with: "4194564")
        #expect(ProcessStatus(stat: ending)?.isEnding == true)
        #expect(ProcessStatus(stat: "42 (x") == nil)
        #expect(ProcessStatus(stat: "") == nil)
    }

    @Test("/proc/<pid>/status is names and values")
    func statusFields() {
        let fields = ProcessStatus.parseFields("Name:\tinit\nUid:\t0\t0\t0\t0\nbroken\n")
        #expect(fields["Name"] == "init")
        #expect(fields["Uid"] == "0\t0\t0\t0")
        #expect(fields.count == 2)
    }

    @Test(
        "CPU lists",
        arguments: [("0", "0"), ("0-3,8", "0-3,8"), ("3,1,2", "1-3"), ("", ""), ("0-1,4\n", "0-1,4")])
    func cpus(_ text: String, _ expected: String) throws {
        #expect(try #require(CPUSet(text)).description == expected)
    }

    @Test(
        "CPU lists that make no sense",
        arguments: ["a", "3-1", "1-2-3", "-1", "99999", "0-99999999999999999999"])
    func badCPUs(_ text: String) {
        #expect(CPUSet(text) == nil)
    }

    @Test("The affinity of this thread can be read and set")
    func affinity() throws {
        let own = try CPUSet.affinity(of: 0)
        #expect(!own.cpus.isEmpty)
        try own.setAffinity(of: 0)
    }
}
