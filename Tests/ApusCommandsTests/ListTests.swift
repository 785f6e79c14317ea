import ApusAPI
import ApusCommands
import ArgumentParser
import Testing

/// Columns, filters and descriptions of containers.
struct ListTests {
    private func instance(_ name: String, _ change: (inout Instance) -> Void = { _ in }) -> Instance {
        var instance = Instance()
        instance.name = name
        instance.status = "Running"
        instance.architecture = "x86_64"
        change(&instance)
        return instance
    }

    private func cells(_ columns: String, _ instance: Instance) throws -> [String] {
        try Column.parse(columns).map { $0.value(instance) }
    }

    @Test func defaultColumns() throws {
        #expect(
            try Column.parse(Column.defaultSet).map(\.title)
                == ["NAME", "STATE", "IPV4", "IPV6", "TYPE", "SNAPSHOTS"])
        let c1 = instance("c1") {
            $0.snapshots = [InstanceSnapshot(), InstanceSnapshot()]
            $0.ephemeral = true
        }
        #expect(try cells("ns46tS", c1) == ["c1", "RUNNING", "", "", "CONTAINER (EPHEMERAL)", "2"])
    }

    @Test func columnsOfState() throws {
        let c1 = instance("c1") {
            var state = InstanceState()
            state.pid = 42
            state.processes = 7
            state.memory.usage = 12_939_428
            state.cpu.usage = 3_900_000_000
            var network = InstanceStateNetwork()
            for (family, address, scope) in [
                ("inet", "10.0.0.2", "global"), ("inet", "127.0.0.1", "local"), ("inet6", "fe80::1", "link"),
                ("inet6", "fd00::2", "global"),
            ] {
                var one = InstanceStateNetworkAddress()
                (one.family, one.address, one.scope) = (family, address, scope)
                network.addresses.append(one)
            }
            state.network = ["eth0": network]
            $0.state = state
        }
        #expect(
            try cells("pNmu46", c1) == ["42", "7", "12.34MiB", "3s", "10.0.0.2 (eth0)", "fd00::2 (eth0)"])
    }

    @Test func keysAsColumns() throws {
        let c1 = instance("c1") { $0.expandedConfig = ["limits.memory": "512MiB", "user.role": "frontend"] }
        #expect(try cells("n,limits.memory", c1) == ["c1", "512MiB"])
        let columns = try Column.parse("ns,user.role:ROLE:5")
        #expect(columns.map(\.title) == ["NAME", "STATE", "ROLE"])
        #expect(columns.last?.value(c1) == "front")
        #expect(throws: (any Error).self) { try Column.parse("nZ") }
        #expect(throws: (any Error).self) { try Column.parse("") }
        #expect(throws: (any Error).self) { try Column.parse("user.role:ROLE:x") }
    }

    @Test(arguments: [
        (["web"], ["web1", "web2"]), ([".*2"], ["web2", "db2"]), (["status=stopped"], ["db2"]),
        (["web", "user.tier=gold"], ["web1"]),
        (["architecture=x86.*"], ["web1", "web2", "db2"]),
        (["u.tier=gold"], ["web1"]), (["u.t=g.*"], ["web1"]), (["u=gold"], []), (["user.tier=gol"], []),
        (["user.tier="], ["web2", "db2"]),
        (["nothing"], []),
    ])
    func filters(filters: [String], names: [String]) throws {
        let all = [
            instance("web1") { $0.expandedConfig = ["user.tier": "gold"] }, instance("web2"),
            instance("db2") { $0.status = "Stopped" },
        ]
        let filter = try ContainerFilter(filters)
        #expect(all.filter { filter.matches($0) }.map(\.name) == names)
    }

    @Test func brokenFilters() {
        #expect(throws: Failure.self) { try ContainerFilter(["name=("]) }
    }

    @Test func infoOfARunningContainer() {
        let c1 = instance("c1") {
            $0.createdAt = Timestamp("2026-11-23T02:00:00Z") ?? .zero
            $0.profiles = ["default"]
            var state = InstanceState()
            state.pid = 42
            state.processes = 7
            state.memory.usage = 1 << 20
            $0.state = state
            var first = InstanceSnapshot()
            first.name = "first"
            first.createdAt = Timestamp("2026-11-23T02:01:00Z") ?? .zero
            var second = InstanceSnapshot()
            second.name = "second"
            second.createdAt = Timestamp("2026-11-23T02:02:00Z") ?? .zero
            second.stateful = true
            second.apusStateSize = 5 << 20
            $0.snapshots = [second, first]
        }
        #expect(
            InstanceReport(c1).text == """
                Name: c1
                Status: RUNNING
                Type: container
                Architecture: x86_64
                PID: 42
                Created: 2026/11/23 02:00 UTC
                Profiles: default

                Resources:
                  Processes: 7
                  Memory usage:
                    Memory (current): 1.00MiB

                Snapshots:
                  first (taken at 2026/11/23 02:01 UTC) (stateless)
                  second (taken at 2026/11/23 02:02 UTC) (stateful) (state: 5.00MiB)

                """)
    }

    @Test func infoOfAStoppedContainerWithState() {
        let c1 = instance("c1") {
            $0.status = "Stopped"
            $0.stateful = true
            $0.apusStateSize = 3 << 20
            $0.apusStateTakenAt = Timestamp("2026-11-23T02:01:00Z")
        }
        #expect(
            InstanceReport(c1).text.contains(
                "Saved state: yes (taken at 2026/11/23 02:01 UTC) (3.00MiB); the next start continues from it\n"
            ))
    }

    @Test func theMostTellingLog() {
        #expect(
            Info.mostTelling([
                "runtime.log", "criu-restore-20261123T020000Z.log", "criu-dump-20261123T030000Z.log",
                "console.log",
            ]) == "criu-dump-20261123T030000Z.log")
        #expect(Info.mostTelling(["console.log", "runtime.log"]) == "runtime.log")
        #expect(Info.mostTelling([]) == nil)
    }

    @Test func images() throws {
        var image = Image()
        image.fingerprint = "0123456789abcdef"
        image.aliases = [ImageAliasName(name: "a"), ImageAliasName(name: "b")]
        image.architecture = "x86_64"
        image.size = 881_004
        image.properties = ["description": "BusyBox", "os": "BusyBox"]
        #expect(
            ImageList.table([image]).rows == [
                ["a (1 more)", "0123456789ab", "no", "BusyBox", "x86_64", "CONTAINER", "881.00kB", ""]
            ])
        func matches(_ filters: String...) throws -> Bool { try ImageList.parse(filters).matches(image) }
        #expect(try matches("a"))
        #expect(try matches("0123"))
        #expect(try matches("os=busybox"))
        #expect(try !matches("c"))
        #expect(ImageInfo.describe(image).contains("Aliases:\n    - a\n    - b\n"))
    }
}
