import Foundation
import GRDB
import Glibc
import Testing

/// One host under test: an apusd with an APUS_DIR of its own, and the client beside it.
///
/// Tests run one after the other, so the class is not made for more than one thread at a time.
final class TestHost: @unchecked Sendable {
    /// The daemon's APUS_DIR.
    let folder: String
    /// Where the programs are.
    let programs: String
    /// The daemon's log, of all its lives.
    let log: String
    private(set) var daemon: Program?
    /// More variables for the daemon.
    var environment: [String: String] = [:]
    private var imported: Set<String> = []

    /// A host named `name`, with its daemon running and initialised.
    /// - Parameter network: whether it has a network of its own, and its containers are on it.
    init(_ name: String, network: Bool = false, programs: String = TestHost.defaultPrograms) throws {
        let base = "\(TestHost.scratch)/\(name)"
        self.programs = programs
        folder = base + "/apus"
        log = base + "/apusd.log"
        try FileManager.default.createDirectory(atPath: base, withIntermediateDirectories: true)
        chmod(TestHost.scratch, 0o711)
        chmod(base, 0o711)
        do {
            try startDaemon()
            // Pools on btrfs have tests of their own.
            try apus(
                "admin", "init", "--auto", "--storage-backend", "dir", "--network",
                network ? TestHost.networkName : "none")
        } catch {
            let said = text(of: log).suffix(3000)
            tearDown()
            throw Trouble("\(error)\n  apusd said: \(said)")
        }
    }

    /// Where hosts live: outside the checkout, on a real file system, one folder per run.
    static let scratch = "/var/tmp/apus-test-\(getpid())"

    /// The network of a host that has one.
    static let networkName = "aptest\(getpid() % 100_000)"

    /// The programs to test.
    static let defaultPrograms: String = {
        let chosen = ProcessInfo.processInfo.environment["APUS_TEST_BIN"] ?? "bin"
        return chosen.hasPrefix("/") ? chosen : FileManager.default.currentDirectoryPath + "/" + chosen
    }()

    /// The daemon's own id, once it has one.
    var id: String? {
        let id = text(of: folder + "/daemon-id").trimmingCharacters(in: .whitespacesAndNewlines)
        return id.isEmpty ? nil : id
    }

    /// What is there of this host in the kernel.
    var state: HostState { HostState.read(folder: folder, id: id) }

    // MARK: the daemon

    /// Starts the daemon and waits until it answers.
    func startDaemon(limit: Duration = .seconds(60)) throws {
        let program = try Program(
            [programs + "/apusd"], environment: environment.merging(["APUS_DIR": folder]) { $1 },
            output: .file(log), errors: .file(log))
        daemon = program
        try eventually("apusd to answer on \(folder)/unix.socket", limit: limit) {
            guard program.isRunning else {
                throw Trouble("apusd ended: \(try program.wait())\n\(text(of: log).suffix(3000))")
            }
            return (try? RawConnection(folder + "/unix.socket").get("/1.0").status) == 200
        }
    }

    /// What a reboot of the machine does: all processes, mounts and cgroups are gone at once, and the daemon finds another
    /// boot id than it has noted.
    func reboot() throws {
        try killDaemon()
        HostCleaner.clean(folder: folder, id: id)
        try changeDatabase("UPDATE server_config SET value = 'another' WHERE key = 'boot_id'")
        try startDaemon()
    }

    /// Changes something in the database of the daemon, which must not run.
    func changeDatabase(_ statement: String) throws {
        try DatabaseQueue(path: folder + "/apus.db").write { database in
            try database.execute(sql: statement)
            #expect(database.changesCount > 0, "there was nothing to change: \(statement)")
        }
    }

    /// Ends the daemon; containers run on.
    func stopDaemon() throws {
        guard let program = daemon else { return }
        program.signal(SIGTERM)
        _ = try program.wait(limit: .seconds(30))
        daemon = nil
    }

    /// Kills the daemon without a warning, and does not start it again.
    func killDaemon() throws {
        guard let program = daemon else { return }
        program.signal(SIGKILL)
        _ = try program.wait(limit: .seconds(10))
        daemon = nil
    }

    // MARK: the client

    /// The variables a client of this host needs.
    var clientEnvironment: [String: String] { ["APUS_DIR": folder, "HOME": folder + "/../home"] }

    /// Runs the client, which has to end with exit code `expecting` (any, if nil).
    @discardableResult
    func apus(
        _ arguments: String..., input: Stream = .none, output: Stream = .bytes(Data()),
        expecting code: Int32? = 0, limit: Duration = .seconds(120)
    ) throws -> Outcome {
        try apus(arguments, input: input, output: output, expecting: code, limit: limit)
    }

    /// Runs the client, which has to end with exit code `expecting` (any, if nil).
    @discardableResult
    func apus(
        _ arguments: [String], input: Stream = .none, output: Stream = .bytes(Data()),
        expecting code: Int32? = 0, limit: Duration = .seconds(120)
    ) throws -> Outcome {
        let outcome = try run(
            [programs + "/apus"] + arguments, environment: clientEnvironment, input: input, output: output,
            limit: limit)
        if let code, outcome.code != code {
            throw Trouble(
                "expected exit code \(code)\n\(outcome)\n  apusd said: \(text(of: log).suffix(2000))")
        }
        return outcome
    }

    /// Runs a command in a container; gives its standard output.
    @discardableResult
    func exec(
        _ container: String, _ command: String..., expecting code: Int32? = 0, limit: Duration = .seconds(60)
    ) throws -> String {
        try apus(["exec", container, "--"] + command, expecting: code, limit: limit).text
    }

    /// Starts the client and gives it back running.
    func begin(_ arguments: String..., input: Stream = .none) throws -> Program {
        try Program([programs + "/apus"] + arguments, environment: clientEnvironment, input: input)
    }

    /// A raw connection to the daemon's socket.
    func connection() throws -> RawConnection { try RawConnection(folder + "/unix.socket") }

    /// Asks the REST API; gives the metadata of the answer.
    func query(_ path: String) throws -> JSON {
        let answer = try connection().get(path)
        guard answer.status == 200 else { throw Trouble("GET \(path): \(answer.status) \(answer.text)") }
        return try JSON(answer.body)["metadata"]
    }

    // MARK: containers

    /// Imports one of the cached images, once, and gives its alias.
    func image(_ image: TestImage) throws -> String {
        if imported.insert(image.rawValue).inserted {
            try apus(
                "image", "import", try image.file(on: self), "--alias", image.rawValue, limit: .seconds(300))
        }
        return image.rawValue
    }

    /// Launches a container of `image` and waits until its init is done with starting.
    func launch(_ image: TestImage, _ name: String, _ options: String...) throws {
        try apus(["launch", try self.image(image), name] + options, limit: .seconds(180))
        try settle(image, name)
    }

    /// Waits until the init of a container is done with starting; gives what it says of itself.
    @discardableResult
    func settle(_ image: TestImage, _ name: String) throws -> String {
        guard image.hasSystemd else {
            // What runs commands in it is there a little later than its init.
            try exec(name, "true")
            return "running"
        }
        var said = ""
        try eventually("systemd of \(name) to have started everything", limit: .seconds(90)) {
            said = try exec(name, "systemctl", "is-system-running", expecting: nil)
            return ["running", "degraded"].contains(said)
        }
        return said
    }

    /// What `list` says of a container, or nil if it is not there.
    func status(of name: String) throws -> String? {
        let answer = try connection().get("/1.0/containers/\(name)")
        return answer.status == 404 ? nil : try JSON(answer.body)["metadata"]["status"].string
    }

    /// Deletes every network; for the end of a test that may have failed anywhere.
    func deleteNetworks() {
        guard let listed = try? query("/1.0/networks?recursion=1").array else { return }
        _ = try? apus("profile", "device", "remove", "default", "eth0", expecting: nil)
        for network in listed where network["managed"].bool == true {
            guard let name = network["name"].string else { continue }
            _ = try? apus("network", "delete", name, expecting: nil)
        }
    }

    /// Deletes every container; for the end of a test that may have failed anywhere.
    func deleteContainers() {
        guard let listed = try? query("/1.0/containers").array else { return }
        for path in listed {
            guard let name = path.string?.split(separator: "/").last else { continue }
            _ = try? apus("delete", String(name), "--force", expecting: nil, limit: .seconds(60))
        }
    }

    // MARK: the end

    /// Ends everything of this host, whatever state it is in, in reverse order.
    func tearDown() {
        deleteContainers()
        deleteNetworks()
        try? stopDaemon()
        HostCleaner.clean(folder: folder, id: id)
        guard ProcessInfo.processInfo.environment["APUS_TEST_KEEP"] == nil else { return }
        _ = try? run(["rm", "-rf", "--one-file-system", (folder as NSString).deletingLastPathComponent])
        rmdir(TestHost.scratch)
    }
}

/// Takes away what a daemon left on the host; for tests that failed, and for runs that were killed.
enum HostCleaner {
    /// Ends processes, unmounts and removes cgroups of one daemon.
    static func clean(folder: String, id: String?) {
        for round in 0..<50 {
            let state = HostState.read(folder: folder, id: id)
            for cgroup in state.frozen {
                write("0", to: cgroup + "/cgroup.freeze")
                write("THAWED", to: cgroup + "/freezer.state")
            }
            for pid in state.processes.keys { kill(pid, SIGKILL) }
            if state.processes.isEmpty { break }
            usleep(useconds_t(20_000 * min(round + 1, 10)))
        }
        let state = HostState.read(folder: folder, id: id)
        for mount in state.mounts.reversed() { umount2(mount, Int32(MNT_DETACH)) }
        for cgroup in state.cgroups { rmdir(cgroup) }
        if let id { for cgroup in HostState.topCgroups(of: id) { rmdir(cgroup) } }
        for network in names(in: folder + "/networks") {
            if let id { _ = try? run(["nft", "delete", "table", "inet", "apus-\(id)-\(network)"]) }
            _ = try? run(["ip", "link", "delete", network, "type", "bridge"])
        }
        if let id {
            for line in (try? must(["nft", "list", "tables", "netdev"]).text.split(separator: "\n")) ?? []
            where line.contains("apus-\(id)-") {
                _ = try? run(["nft", "delete"] + line.split(separator: " ").map(String.init))
            }
        }
        for loop in state.loops { _ = try? run(["losetup", "--detach", "/dev/\(loop)"]) }
    }

    /// Cleans up after runs of these tests that were killed.
    static func cleanAbandonedRuns() {
        for name in names(in: "/var/tmp") where name.hasPrefix("apus-test-") {
            guard let pid = pid_t(name.dropFirst("apus-test-".count)), kill(pid, 0) != 0 else { continue }
            let run = "/var/tmp/\(name)"
            for host in names(in: run) {
                let folder = "\(run)/\(host)/apus"
                let id = text(of: folder + "/daemon-id").trimmingCharacters(in: .whitespacesAndNewlines)
                clean(folder: folder, id: id.isEmpty ? nil : id)
            }
            _ = try? must(["rm", "-rf", "--one-file-system", run])
        }
    }

    private static func write(_ text: String, to path: String) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        _ = Glibc.write(descriptor, text, text.utf8.count)
        close(descriptor)
    }
}
