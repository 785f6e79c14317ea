import CRIU
import Glibc
import LinuxSystem
import Testing

private let liveCRIUIsPossible = geteuid() == 0 && (try? CRIUInstallation.locate()) != nil

/// A real process, dumped and restored through the library.
@Suite(.serialized, .enabled(if: liveCRIUIsPossible, "needs root and an installed CRIU"))
struct LiveTests {
    private let options = CRIUCommonOptions(networkLock: .skip)

    @Test func tellsItsVersion() async throws {
        let installation = try CRIUInstallation.locate()
        let version = try await CRIUService(installation).version()
        #expect(version >= CRIUVersion(major: 3, minor: 17))
        #expect(try installation.version() == version)
    }

    @Test func aProcessIsDumpedAndRestored() async throws {
        let directory = try temporaryDirectory()
        defer { try? removeTree(directory) }
        let child = try Spawn(["/bin/sleep", "100"]).configured { $0.newSession = true }.start()
        defer { _ = child.signal(SIGKILL) }
        let service = CRIUService(try .locate())

        let moments = Moments()
        let statistics = try await service.dump(
            CRIUDumpOptions(pid: child.pid, imageDirectory: directory, common: options)
        ) { await moments.add($0.moment) }
        #expect(await moments.list.last == .postDump)
        #expect(statistics.frozenTime > 0)
        #expect(try await child.waitForExit() == .signaled(SIGKILL))

        let restored = try await service.restore(
            CRIURestoreOptions(imageDirectory: directory, asSibling: true, common: options))
        #expect(restored.pid == child.pid)
        let again = try ProcessDescriptor(pid: restored.pid)
        defer { again.signal(SIGKILL) }
        #expect(Proc.commandLine(restored.pid) == ["/bin/sleep", "100"])
        again.signal(SIGKILL)
        #expect(try await again.waitForExit() == .signaled(SIGKILL))
    }

    @Test func aHandlerThatThrowsLeavesTheProcessRunning() async throws {
        let directory = try temporaryDirectory()
        defer { try? removeTree(directory) }
        let child = try Spawn(["/bin/sleep", "100"]).configured { $0.newSession = true }.start()
        defer { child.signal(SIGKILL) }
        struct Refusal: Error {}
        let error = await #expect(throws: CRIUError.self) {
            try await CRIUService(.locate()).dump(
                CRIUDumpOptions(pid: child.pid, imageDirectory: directory, common: options)
            ) { if $0.moment == .postDump { throw Refusal() } }
        }
        #expect(error?.code == .handlerFailed)
        #expect(error?.underlying is Refusal)
        #expect(["S", "R"].contains(try ProcessStatus(pid: child.pid).state))
        child.signal(SIGKILL)
        _ = try await child.waitForExit()
    }

    @Test func cancellingKillsCRIUAndTheProcessGoesOn() async throws {
        let directory = try temporaryDirectory()
        defer { try? removeTree(directory) }
        let child = try Spawn(["/bin/sleep", "100"]).configured { $0.newSession = true }.start()
        defer { child.signal(SIGKILL) }
        let service = CRIUService(try .locate())
        let options = options
        let dump = Task {
            try await service.dump(
                CRIUDumpOptions(pid: child.pid, imageDirectory: directory, common: options)
            ) { notification in
                // Never lets the dump end by itself.
                if notification.moment == .postDump { try await Task.sleep(for: .seconds(60)) }
            }
        }
        while !Files.exists("\(directory)/inventory.img") { await Task.yield() }
        dump.cancel()
        await #expect(throws: (any Error).self) { try await dump.value }
        #expect(child.isAlive)
        child.signal(SIGKILL)
        _ = try await child.waitForExit()
    }

    @Test func aProcessThatIsNotThereIsAnError() async throws {
        let directory = try temporaryDirectory()
        defer { try? removeTree(directory) }
        let error = await #expect(throws: CRIUError.self) {
            try await CRIUService(.locate()).dump(
                CRIUDumpOptions(pid: 4_000_000, imageDirectory: directory, common: options))
        }
        #expect(error?.code == .refused)
    }

    private func temporaryDirectory() throws -> String {
        var template = Array("/tmp/apus-criu-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } } ?? ""
        #expect(chmod(path, 0o755) == 0)
        return path
    }
}

private actor Moments {
    private(set) var list: [CRIUNotification.Moment] = []
    func add(_ moment: CRIUNotification.Moment) { list.append(moment) }
}
