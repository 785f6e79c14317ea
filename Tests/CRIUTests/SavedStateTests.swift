import CRIU
import Glibc
import LinuxSystem
import Testing

/// What is told of a dump, from images made here: two processes, a child that shares its parent's files.
@Suite struct SavedStateTests {
    @Test func everythingIsTold() throws {
        let state = try CRIUSavedState(images: SavedImages.example)
        #expect(state.processes.map(\.pid) == [1, 7])
        #expect(state.processes.map(\.parent) == [0, 1])
        #expect(state.processes.map(\.name) == ["init", "worker"])
        #expect(state.processes.map(\.state) == [.running, .stopped])
        #expect(state.processes[1].threads == [7, 8])
        #expect(state.processes[0].executable == "/bin/busybox")
        // 3 pages of its own, 2 pieces of shared memory, 5 pages of a file.
        let memory = state.processes[0].memory
        #expect(memory.own == 12_288)
        #expect(memory.shared == 8192)
        #expect(memory.files == 20_480)
        #expect(state.processes[1].memory.own == 0)

        #expect(state.files.map(\.pid) == [1, 1, 1, 1, 7, 7, 7, 7])
        let log = try #require(state.files.first)
        #expect(log.path == "/var/log/messages")
        #expect(log.kind == "file")
        #expect(log.access == "w")
        #expect(log.position == 300)
        #expect(log.size == 400)
        #expect(log.isDeleted)
        #expect(state.files[1].path == "pipe:[55]")

        #expect(state.sockets.map(\.kind) == ["tcp", "unix"])
        let tcp = state.sockets[0]
        #expect(tcp.pids == [1, 7] && tcp.state == "ESTABLISHED")
        #expect(tcp.local == "10.0.0.2:80" && tcp.remote == "10.0.0.3:4096")
        #expect(tcp.unread == 8 && tcp.unsent == 2)
        #expect(state.sockets[1].local == "@abstract" && state.sockets[1].state == "LISTEN")

        #expect(state.timers.map(\.pid) == [1, 1, 0])
        #expect(state.timers.map(\.kind) == ["real", "posix", "descriptor"])
        #expect(state.timers.map(\.clock) == ["real time", "monotonic", "boot time"])
        #expect(state.timers.map(\.left) == [5_000_000, 1_000_002, Int64.max])
        #expect(state.timers.map(\.interval) == [0, 2_000_000, 0])
        #expect(state.mounts.map(\.path) == ["/", "/proc", "/srv"])
        #expect(state.mounts.map(\.kind) == ["", "proc", ""])
        #expect(state.mounts.map(\.root) == ["/", "/", "/data"], "where the root lies is not told")
        #expect(state.mounts[1].isReadOnly && !state.mounts[0].isReadOnly)
    }

    @Test func namesThatAreNotTextAreShownAllTheSame() throws {
        var images = SavedImages.example
        images["core-1.img"] = SavedImages.core(name: [0xff, 0x41])
        #expect(try CRIUSavedState(images: images).processes[0].name == "\u{FFFD}A")
    }

    @Test(arguments: ["pstree.img", "core-1.img", "core-7.img", "files.img"])
    func whatHasToBeThereIsMissed(_ name: String) {
        var images = SavedImages.example
        images[name] = nil
        #expect(throws: CRIUError.self) { try CRIUSavedState(images: images) }
    }

    @Test func processesWithoutParentsOrTwiceAreRefused() {
        for tree in [
            [SavedImages.process(1, 0), SavedImages.process(7, 9)],
            [SavedImages.process(1, 1)],
            [SavedImages.process(1, 0), SavedImages.process(1, 0)],
            [SavedImages.process(1, 7), SavedImages.process(7, 1)],
            [SavedImages.process(0xffff_ffff, 0)],
        ] {
            var images = SavedImages.example
            images["pstree.img"] = SavedImages.image(.pstree, tree)
            #expect(throws: CRIUError.self) { try CRIUSavedState(images: images) }
        }
    }

    @Test func impossibleMemoryIsRefused() {
        var images = SavedImages.example
        let huge = Message().varint(1, 0).varint(2, 1).varint(4, 4).varint(5, .max).bytes
        images["pagemap-1.img"] = SavedImages.image(.pagemap, [Message().varint(1, 1).bytes, huge])
        #expect(throws: CRIUError.self) { try CRIUSavedState(images: images) }
        images = SavedImages.example
        images["mm-1.img"] = SavedImages.image(
            .memory, [Message().field(14, SavedImages.area(0x2000, 0x1000, 1 << 6)).bytes])
        #expect(throws: CRIUError.self) { try CRIUSavedState(images: images) }
    }

    @Test func moreThanCanBeShownIsRefused() {
        // Few bytes that tell of many files: each of many processes has the same large table.
        var images = SavedImages.example
        images["fdinfo-3.img"] = SavedImages.image(
            .descriptors, (0..<1000).map { SavedImages.descriptor(UInt64($0), 2, 2) })
        images["pstree.img"] = SavedImages.image(.pstree, (1...1000).map { SavedImages.process($0, 0) })
        for pid in 1...1000 {
            images["core-\(pid).img"] = SavedImages.example["core-7.img"]
            images["ids-\(pid).img"] = SavedImages.example["ids-1.img"]
        }
        let error = #expect(throws: CRIUError.self) { try CRIUSavedState(images: images) }
        #expect(error?.message.contains("more than can be shown") == true)
    }

    /// Altered files: whatever is in them, the answer is a state or an error.
    @Test func alteredImagesNeverTrap() {
        var random = Seeded(state: 20_261_125)
        var refused = 0
        let names = SavedImages.example.keys.sorted()
        for _ in 0..<6000 {
            var images = SavedImages.example
            for _ in 0...Int.random(in: 0...1, using: &random) {
                let name = names[Int.random(in: 0..<names.count, using: &random)]
                images[name]?.alter(&random)
            }
            do { _ = try CRIUSavedState(images: images) } catch { refused += 1 }
        }
        #expect((1000...5900).contains(refused))
    }
}

/// A real process, dumped by CRIU.
@Suite(
    .enabled(
        if: geteuid() == 0 && (try? CRIUInstallation.locate()) != nil, "needs root and an installed CRIU"))
struct LiveSavedStateTests {
    @Test func aDumpedProcessIsTold() async throws {
        var template = Array("/tmp/apus-criu-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let directory = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } } ?? ""
        defer { try? removeTree(directory) }
        let child = try Spawn(["/bin/sh", "-c", "/bin/sleep 100; true"]).configured { $0.newSession = true }
            .start()
        defer { _ = child.signal(SIGKILL) }
        while Proc.tree(from: child.pid).count < 2 { await Task.yield() }
        _ = try await CRIUService(.locate()).dump(
            CRIUDumpOptions(
                pid: child.pid, imageDirectory: directory, common: CRIUCommonOptions(networkLock: .skip)))
        _ = try await child.waitForExit()

        let state = try CRIUSavedState(directory: directory)
        #expect(state.processes.map(\.name) == ["sh", "sleep"])
        #expect(state.processes[0].pid == child.pid)
        #expect(state.processes[1].parent == child.pid)
        #expect(state.processes.allSatisfy { $0.memory.own > 0 && $0.memory.files > 0 })
        #expect(state.processes[1].executable.hasSuffix("sleep"), "\(state.processes[1].executable)")
        #expect(state.files.contains { $0.pid == child.pid && $0.path == "/dev/null" })

        // The same images, altered.
        var images: [String: [UInt8]] = [:]
        for name in try Files.names(in: directory) where !name.hasPrefix("pages-") {
            images[name] = try Files.bytes("\(directory)/\(name)", limit: 1 << 20)
        }
        #expect(try CRIUSavedState(images: images) == state)
        var random = Seeded(state: 7)
        let names = images.keys.sorted()
        for _ in 0..<1000 {
            var altered = images
            altered[names[Int.random(in: 0..<names.count, using: &random)]]?.alter(&random)
            _ = try? CRIUSavedState(images: altered)
        }
    }
}

/// Random numbers that are the same each time.
private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let mixed = (state ^ (state >> 33)) &* 0xff51_afd7_ed55_8ccd
        return mixed ^ (mixed >> 33)
    }
}

extension [UInt8] {
    /// Changes bytes, takes some away, puts some in, or cuts the rest off.
    fileprivate mutating func alter(_ random: inout Seeded) {
        guard !isEmpty else { return }
        let place = Int.random(in: Swift.min(8, count - 1)..<count, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: self[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: self[place] = [0, 0x7f, 0x80, 0xff].randomElement(using: &random) ?? 0
        case 2: removeSubrange(place..<Swift.min(count, place + Int.random(in: 1...9, using: &random)))
        case 3: insert(contentsOf: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], at: place)
        case 4: removeSubrange(place...)
        default:
            for _ in 0..<8 {
                self[Int.random(in: 0..<count, using: &random)] = .random(in: 0...255, using: &random)
            }
        }
    }
}
