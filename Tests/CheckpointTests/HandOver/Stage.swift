import Checkpoint
import CRIU
import ContainerRuntime
import Foundation
import Glibc
import LinuxSystem

/// Where containers are handed over from one set of directories to another: two machines in one.
final class Stage: Sendable {
    let folder: String
    /// On a tmpfs.
    let memory: String
    let launcher: RuntimeLauncher
    let checkpointer: Checkpointer

    /// Whether it can be set up here.
    static let isPossible =
        geteuid() == 0 && (try? CRIUInstallation.locate()) != nil && access(program, X_OK) == 0

    private static let program: String = {
        let chosen = ProcessInfo.processInfo.environment["APUS_TEST_BIN"] ?? "bin"
        let base = chosen.hasPrefix("/") ? chosen : FileManager.default.currentDirectoryPath + "/" + chosen
        return base + "/apus-runtime"
    }()

    init() async throws {
        folder = "/var/tmp/apus-handover-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        memory = "/dev/shm/" + (folder.split(separator: "/").last ?? "")
        launcher = RuntimeLauncher(program: Self.program)
        checkpointer = try await Checkpointer(criu: .locate(), apusVersion: "test")
        for directory in [folder, memory] { try Files.makeDirectories(directory, mode: 0o711) }
    }

    /// Runs a test on a stage of its own, and takes it down.
    static func with(_ body: (Stage) async throws -> Void) async throws {
        let stage = try await Stage()
        do { try await body(stage) } catch {
            await stage.tearDown()
            throw error
        }
        await stage.tearDown()
    }

    private func tearDown() async {
        for side in ["a", "b"] {
            for generation in (try? Files.names(in: "\(folder)/\(side)")) ?? [] {
                try? await RuntimeCleanup.remove(
                    cgroup: "\(Self.cgroup(side))/c1.\(generation)",
                    runtimeDirectory: "\(folder)/\(side)/\(generation)")
            }
        }
        for directory in [folder, memory] {
            try? Mount.unmountAll(below: directory)
            try? removeTree(directory)
        }
    }

    private static func cgroup(_ side: String) -> String { "apus-\(identity(side))" }

    /// A machine's name for its daemon.
    private static func identity(_ side: String) -> String { "\(side)\(String(format: "%07x", getpid()))" }

    /// A container's specification on one of the two machines.
    func spec(_ side: String, generation: Int, rootfs: String) -> ContainerSpec {
        var spec = ContainerSpec(
            name: "c1", generation: generation, daemonID: Self.identity(side),
            runtimeDirectory: "\(folder)/\(side)/\(generation)", rootfs: rootfs,
            idmap: IDMap(base: 1_700_000))
        spec.consoleLog = "\(folder)/console.log"
        return spec
    }

    /// Files of a container of busybox whose init runs the guest program.
    func busybox() throws -> String {
        let root = folder + "/busybox"
        for directory in [
            "bin", "sbin", "dev", "etc", "proc", "sys", "run", "tmp", "root", "usr/bin", "var/guest",
        ] {
            try FileManager.default.createDirectory(
                atPath: "\(root)/\(directory)", withIntermediateDirectories: true)
        }
        chmod(folder, 0o711)
        try FileManager.default.copyItem(atPath: "/bin/busybox", toPath: root + "/bin/busybox")
        try FileManager.default.copyItem(atPath: Self.guest(), toPath: root + "/usr/bin/guest")
        for name in ["sh", "mkdir", "true", "init"] { symlink("busybox", "\(root)/bin/\(name)") }
        symlink("../bin/busybox", root + "/sbin/init")
        try
            "::sysinit:/bin/mkdir -p /run/lock\n::respawn:/usr/bin/guest run /var/guest\n::ctrlaltdel:/bin/true\n"
            .write(toFile: root + "/etc/inittab", atomically: true, encoding: .utf8)
        try "root:x:0:0:root:/root:/bin/sh\n".write(
            toFile: root + "/etc/passwd", atomically: true, encoding: .utf8)
        return root
    }

    /// Files of a container of Debian 12 with systemd; nil where the integration tests have not built their image yet.
    func debian() throws -> String? {
        guard Self.hasDebian else { return nil }
        try Self.output(["tar", "--numeric-owner", "-C", folder, "-xf", Self.debianImage, "rootfs"])
        chmod(folder, 0o711)
        let root = folder + "/rootfs"
        try FileManager.default.copyItem(atPath: Self.guest(), toPath: root + "/usr/bin/guest")
        return root
    }

    static let hasDebian = access(debianImage, R_OK) == 0

    private static let debianImage =
        (ProcessInfo.processInfo.environment["APUS_TEST_CACHE"] ?? "/var/cache/apus-test")
        + "/test-debian-12.tar"

    /// The program of the tests, compiled.
    static func guest() throws -> String {
        let here = (#filePath as NSString).deletingLastPathComponent as NSString
        return try output([here.appendingPathComponent("../../../scripts/guest-program")]).trimmingCharacters(
            in: .whitespacesAndNewlines)
    }

    /// Runs a program of the host.
    @discardableResult
    static func output(_ arguments: [String]) throws -> String {
        let (read, write) = try FileDescriptor.pipe()
        let process = try Spawn(arguments, fds: [1: write, 2: write]).start()
        write.close()
        let text = String(decoding: try read.readAll(), as: UTF8.self)
        let status = try process.waitBlocking()
        guard status.isSuccess else {
            throw Trouble("\(arguments.joined(separator: " ")): \(status): \(text)")
        }
        return text
    }
}

/// What went wrong in a test.
struct Trouble: Error, CustomStringConvertible {
    let description: String
    init(_ text: String) { description = text }
}

/// A container that runs on one of the two machines.
struct LiveContainer: Sendable {
    let spec: ContainerSpec
    let initPID: Int32

    var subject: CheckpointSubject {
        CheckpointSubject(
            name: spec.name, initPID: initPID, cgroup: spec.innerCgroup, interfaces: spec.interfaces)
    }

    var connection: RuntimeConnection { RuntimeConnection(spec: spec) }

    /// Runs a program inside.
    func exec(_ command: [String]) async throws -> (status: ExitStatus, text: String) {
        let (read, write) = try FileDescriptor.pipe()
        let null = try FileDescriptor.open("/dev/null", O_RDONLY)
        let session = try await connection.exec(
            ExecRequest(command, io: .streams(input: null, output: write, error: write)))
        write.close()
        let text = try await Task.detached { String(decoding: try read.readAll(), as: UTF8.self) }.value
        return (try await session.exitStatus(), text)
    }

    /// Where the guest program has its files.
    var guestFolder: String { Files.exists(spec.rootfs + "/var/guest") ? "/var/guest" : "/var/lib/guest" }

    /// What the guest program says of itself, after it has verified memory, files and all that it holds.
    struct Report {
        let id: String
        let tick: Int
    }

    /// Has the guest program verify everything.
    func verify() async throws -> Report {
        let answer = try await exec(["/usr/bin/guest", "ask", guestFolder, "verify"])
        guard answer.status.isSuccess,
            let report = try JSONSerialization.jsonObject(with: Data(answer.text.utf8)) as? [String: Any],
            report["ok"] as? Bool == true, let id = report["id"] as? String, let tick = report["tick"] as? Int
        else { throw Trouble("the guest program: \(answer.status) \(answer.text)") }
        return Report(id: id, tick: tick)
    }

    /// Waits until the guest program answers.
    func waitUntilUp() async throws {
        try await eventually("the guest program to answer") { _ = try await verify() }
    }

    /// Waits until a program inside succeeds.
    func waitFor(_ command: [String]) async throws {
        try await eventually("\(command.joined(separator: " ")) to succeed") {
            let (status, text) = try await exec(command)
            guard status.isSuccess else { throw Trouble(text) }
        }
    }

    private func eventually(_ what: String, _ body: () async throws -> Void) async throws {
        let end = ContinuousClock.now + .seconds(60)
        while true {
            do {
                return try await body()
            } catch {
                guard ContinuousClock.now < end else { throw Trouble("waited for \(what): \(error)") }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Whether there is nothing left of it: no process, no control group, no mount.
    var isGone: Bool {
        let layout = try? CgroupLayout.current()
        let groups = (layout?.hierarchies ?? []).filter { Files.exists("\($0.path)/\(spec.cgroup)") }
        let mounts = ((try? MountInfo.current()) ?? []).filter {
            $0.mountPoint.hasPrefix(spec.runtimeDirectory + "/")
        }
        return groups.isEmpty && mounts.isEmpty
    }
}
