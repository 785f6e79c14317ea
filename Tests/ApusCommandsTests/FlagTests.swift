import ApusAPI
import ApusClient
import ApusCommands
import ArgumentParser
import NIOCore
import NIOHTTP1
import Testing

/// From the command line to what is sent to the daemon.
struct FlagTests {
    private func parse<Command: ParsableCommand>(_ type: Command.Type, _ words: String...) throws -> Command {
        let command = try Apus.parseAsRoot(words)
        return try #require(command as? Command)
    }

    @Test func launch() throws {
        let launch = try parse(
            Launch.self, "launch", "debian:12", "c1", "-c", "limits.memory=1GiB", "--config", "user.a=b",
            "-e",
            "-p", "default", "-p", "big", "-d", "root,size=5GiB", "-s", "fast", "-q")
        let post = try launch.create.request(source: .debian("12"))
        #expect(post.name == "c1")
        #expect(post.config == ["limits.memory": "1GiB", "user.a": "b"])
        #expect(post.ephemeral)
        #expect(post.profiles == ["default", "big"])
        #expect(post.devices == ["root": ["type": "disk", "path": "/", "pool": "fast"]])
        #expect(post.source.protocol == "debian")
        #expect(post.source.alias == "12")
        #expect(launch.create.global.quiet)
    }

    @Test func profilesAreTheDefaultOnesUnlessSaid() throws {
        let plain = try parse(Init.self, "init", "x").create.request(source: .localAlias("x"))
        #expect(plain.profiles == nil)
        #expect(plain.name == "")
        let none = try parse(Init.self, "init", "x", "c1", "--no-profiles").create.request(
            source: .localAlias("x"))
        #expect(none.profiles == [])
        #expect(throws: (any Error).self) { try Apus.parseAsRoot(["init", "x", "--no-profiles", "-p", "a"]) }
        #expect(throws: (any Error).self) { try Apus.parseAsRoot(["init", "x", "c1", "-c", "nonsense"]) }
    }

    @Test func states() throws {
        let start = try parse(Start.self, "start", "c1", "c2", "--stateless")
        #expect(start.selection.containers == ["c1", "c2"])
        #expect(start.request.apusStateless)
        #expect(start.request.action == "start")
        let stop = try parse(Stop.self, "stop", "c1", "--stateful", "--timeout", "5").request
        #expect(stop == InstanceStatePut(action: "stop", timeout: 5, stateful: true))
        let forced = try parse(Stop.self, "stop", "-f", "c1").request
        #expect(forced == InstanceStatePut(action: "stop", timeout: -1, force: true))
        #expect(throws: (any Error).self) { try Apus.parseAsRoot(["stop", "c1", "--stateful", "--force"]) }
        #expect(try parse(Restart.self, "restart", "c1").request.action == "restart")
        #expect(
            try parse(Pause.self, "pause", "c1").request == InstanceStatePut(action: "freeze", timeout: 0))
        #expect(throws: (any Error).self) { try Apus.parseAsRoot(["start"]) }
    }

    @Test(arguments: ["start", "stop", "restart", "pause"])
    func allContainersOrThoseThatAreNamed(verb: String) throws {
        _ = try Apus.parseAsRoot([verb, "--all"])
        #expect(throws: (any Error).self) { try Apus.parseAsRoot([verb, "--all", "c1"]) }
        #expect(throws: (any Error).self) { try Apus.parseAsRoot([verb]) }
    }

    @Test func aConsoleIsForOneContainer() throws {
        #expect(try parse(Start.self, "start", "c1", "--console").console)
        #expect(try parse(Launch.self, "launch", "x", "c1", "--console").console)
        #expect(throws: (any Error).self) { try Apus.parseAsRoot(["start", "c1", "c2", "--console"]) }
        #expect(throws: (any Error).self) { try Apus.parseAsRoot(["start", "--all", "--console"]) }
    }

    @Test func movesAndReuse() throws {
        #expect(try parse(Move.self, "move", "c1", "-s", "fast").storage == "fast")
        #expect(try parse(Move.self, "move", "c1", "c2").destination == "c2")
        #expect(throws: (any Error).self) { try Apus.parseAsRoot(["move", "c1"]) }
        #expect(throws: (any Error).self) { try Apus.parseAsRoot(["rename", "c1"]) }
        #expect(try parse(SnapshotCommand.self, "snapshot", "c1", "s", "--reuse").reuse)
        #expect(throws: (any Error).self) { try Apus.parseAsRoot(["snapshot", "c1", "--reuse"]) }
    }

    @Test(arguments: [
        ("data", "custom/data"), ("custom/data", "custom/data"), ("container/c1", "container/c1"),
        ("container/c1/s 1", "container/c1/snapshots/s%201"), ("image/ab", "image/ab"),
        ("a/b", "custom/a%2Fb"),
    ])
    func volumesByTheirNames(name: String, path: String) throws {
        #expect(
            try StorageTarget(pool: "p", volume: name).path == "/1.0/storage-pools/p/volumes/\(path)")
    }

    @Test func storageIsEditedStrictly() throws {
        let whole = """
            config: {size: 1GiB}
            description: x
            name: data
            type: custom
            used_by: []
            """
        let edited = try EditableStorage(yaml: whole, as: "the volume")
        #expect(edited.request == StoragePut(config: ["size": "1GiB"], description: "x"))
        #expect(throws: Failure.self) { try EditableStorage(yaml: "conifg: {}", as: "the volume") }
    }

    @Test func snapshotAndRestore() throws {
        let snapshot = try parse(SnapshotCommand.self, "snapshot", "c1", "s1", "--stateful").request
        #expect(snapshot == InstanceSnapshotsPost(name: "s1", stateful: true))
        #expect(try parse(SnapshotCommand.self, "snapshot", "c1").request.name == "")
        let restore = try parse(Restore.self, "restore", "c1", "s1")
        #expect(try restore.request(snapshotIsStateful: true).stateful)
        #expect(try !restore.request(snapshotIsStateful: false).stateful)
        #expect(try restore.request(snapshotIsStateful: true).restore == "s1")
        let stateless = try parse(Restore.self, "restore", "c1", "s1", "--stateless")
        #expect(try !stateless.request(snapshotIsStateful: true).stateful)
        let insisting = try parse(Restore.self, "restore", "c1", "s1", "--stateful")
        #expect(throws: Failure.self) { try insisting.request(snapshotIsStateful: false) }
    }

    @Test func execTakesTheCommandAsItIs() throws {
        let exec = try parse(
            Exec.self, "exec", "c1", "--env", "A=1", "--env", "B=x=y", "--cwd", "/tmp", "--user", "7",
            "--group", "8",
            "-T", "--", "sh", "-c", "echo $1 --", "--", "-t", "--user")
        #expect(exec.command == ["sh", "-c", "echo $1 --", "--", "-t", "--user"])
        let post = exec.request(interactive: false, size: (80, 24), terminalType: "xterm")
        #expect(post.environment == ["A": "1", "B": "x=y", "TERM": "xterm"])
        #expect(post.cwd == "/tmp")
        #expect(post.user == 7 && post.group == 8)
        #expect(post.width == 0 && !post.interactive && post.waitForWebsocket)
        #expect(!exec.interactive(onTerminal: true))
        let own = try parse(Exec.self, "exec", "c1", "--env", "TERM=dumb", "--", "top")
        let terminal = own.request(interactive: true, size: (120, 40), terminalType: "xterm")
        #expect(terminal.environment["TERM"] == "dumb")
        #expect(terminal.width == 120 && terminal.height == 40)
    }

    @Test func execChoosesATerminal() throws {
        #expect(try parse(Exec.self, "exec", "c1", "ls").interactive(onTerminal: true))
        #expect(try !parse(Exec.self, "exec", "c1", "ls").interactive(onTerminal: false))
        #expect(try parse(Exec.self, "exec", "-t", "c1", "ls").interactive(onTerminal: false))
        #expect(
            try parse(Exec.self, "exec", "c1", "--mode", "interactive", "ls").interactive(onTerminal: false))
        #expect(
            try !parse(Exec.self, "exec", "c1", "--mode", "non-interactive", "ls").interactive(
                onTerminal: true))
        #expect(try !parse(Exec.self, "exec", "-n", "c1", "ls").interactive(onTerminal: true))
        #expect(throws: (any Error).self) { try Apus.parseAsRoot(["exec", "-t", "-T", "c1", "ls"]) }
        #expect(throws: (any Error).self) { try Apus.parseAsRoot(["exec", "c1"]) }
        #expect(throws: (any Error).self) {
            try Apus.parseAsRoot(["exec", "c1", "--user", "-3", "--", "ls"])
        }
    }

    @Test func configuration() throws {
        #expect(try parse(ConfigSet.self, "config", "set", "c1", "a.b", "1").keys() == ["a.b": "1"])
        #expect(
            try parse(ConfigSet.self, "config", "set", "c1", "a.b=1", "c=2").keys() == ["a.b": "1", "c": "2"])
        #expect(try parse(ConfigSet.self, "config", "set", "c1", "a.b", "x=1").keys() == ["a.b": "x=1"])
        #expect(throws: (any Error).self) { try Apus.parseAsRoot(["config", "set", "c1", "a"]) }
        #expect(throws: (any Error).self) { try Apus.parseAsRoot(["config", "set", "c1", "a", "b", "c"]) }
        var instance = Instance()
        instance.config = ["a": "1"]
        instance.expandedConfig = ["a": "1", "b": "2"]
        instance.profiles = ["default"]
        #expect(EditableInstance(instance).request.config == ["a": "1"])
        #expect(EditableInstance(instance, expanded: true).config == ["a": "1", "b": "2"])
        #expect(EditableInstance(instance).request.profiles == ["default"])
    }

    @Test func queries() throws {
        let query = try parse(Query.self, "query", "-X", "put", "-d", #"{"a":1}"#, "--wait", "/1.0/x")
            .request()
        #expect(query.method == .PUT)
        #expect(query.path == "/1.0/x")
        guard case .bytes(let body) = query.body else {
            Issue.record("no body")
            return
        }
        #expect(String(buffer: body) == #"{"a":1}"#)
        #expect(try parse(Query.self, "query", "local:/1.0").request().path == "/1.0")
        #expect(throws: Failure.self) { try parse(Query.self, "query", "1.0").request() }
    }

    @Test func adminInit() throws {
        let automatic = try parse(AdminInit.self, "admin", "init", "--auto", "--storage-pool", "p")
        let preseed = automatic.automatic(drivers: ["dir"])
        #expect(automatic.automatic(drivers: ["btrfs", "dir"]).storagePools?.map(\.driver) == ["btrfs"])
        #expect(preseed.storagePools?.map(\.name) == ["p"])
        #expect(preseed.profiles?.first?.devices?["root"]?["pool"] == "p")
        #expect(throws: (any Error).self) { try Apus.parseAsRoot(["admin", "init"]) }
        #expect(throws: (any Error).self) { try Apus.parseAsRoot(["admin", "init", "--auto", "--dump"]) }
        let read = try Preseed(
            yaml: """
                storage_pools:
                - name: default
                  driver: dir
                profiles:
                - name: default
                  devices:
                    root: {type: disk, path: /, pool: default}
                """)
        #expect(read.storagePools?.first?.driver == "dir")
        #expect(read.profiles?.first?.devices?["root"]?["path"] == "/")
    }

    @Test(
        "What is wrong with a preseed is told with its place",
        arguments: [
            ("", "has no keys"), ("- a", "has no keys"),
            ("config: {}\nprofiles: 3", "line 2: profiles: expected a list"),
            ("storage_pool: []", "line 1: \"storage_pool\" is no key; there are"),
            (
                "profiles:\n- name: a\n- name: b\n  conf: {}",
                "line 4: \"conf\" is no key of an entry of profiles"
            ),
            ("storage_pools:\n- name: x", "storage_pools[0]: \"driver\" is missing"),
            ("config: {a: [1]}", "config.a: expected a single value"),
            ("config: {a: 1", "is not YAML: line "), ("config: {}\nconfig: {}", "stand twice: config"),
        ]) func badPreseeds(_ yaml: String, _ expected: String) throws
    {
        let error = #expect(throws: Failure.self) { try Preseed(yaml: yaml) }
        #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
    }

    @Test func usageErrorsExitWith64AndFailuresWith1() {
        func code(_ words: String...) -> Int32? {
            do {
                _ = try Apus.parseAsRoot(words)
                return nil
            } catch {
                return Apus.exitCode(for: error).rawValue
            }
        }
        #expect(code("nonsense") == 64)
        #expect(code("stop") == 64)
        #expect(code("list", "--columns", "Z") == 64)
        #expect(code("exec", "--help") == nil)
        #expect(Apus.exitCode(for: Failure("x")).rawValue == 1)
    }
}
