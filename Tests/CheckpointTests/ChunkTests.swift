import Checkpoint
import ContainerRuntime
import Foundation
import Glibc
import LinuxSystem
import Testing

/// Checkpoints on their way to another machine.
@Suite struct ChunkTests {
    @Test(arguments: [
        CheckpointChunk.file(name: "core-1.img", bytes: [1, 2, 3], isLast: false),
        .file(name: "x.img", bytes: [], isLast: true), .end(files: 7, bytes: 1 << 40),
    ])
    func chunksComeOutAsTheyWentIn(chunk: CheckpointChunk) throws {
        #expect(try CheckpointChunk(decoding: chunk.encoded()) == chunk)
    }

    @Test(arguments: [
        [], [9], [1], [1, 5, 65], [2, 1, 0xff], [3, 0, 0], [3] + [UInt8](repeating: 0, count: 17),
    ])
    func whatIsNoChunkIsRefused(bytes: [UInt8]) {
        #expect(throws: CheckpointError.self) { try CheckpointChunk(decoding: bytes) }
    }

    @Test func aCheckpointArrivesWhole() throws {
        try withFolder { folder in
            let source = try makeCheckpoint(folder + "/source")
            let receiver = try CheckpointReceiver(directory: folder + "/sink", limit: 10 << 20)
            var reader = try CheckpointReader(directory: source)
            while let chunk = try reader.next() { try receiver.accept(chunk) }
            #expect(try receiver.finish().container == "c1")
            for name in ["inventory.img", "pstree.img", "files.img", "large.img", "exact.img"] {
                let (from, to) = ("\(source)/images/\(name)", "\(folder)/sink/images/\(name)")
                #expect(try Files.bytes(from) == Files.bytes(to), "\(name)")
            }
            // Logs and statistics stay where they are.
            #expect(!Files.exists(folder + "/sink/images/dump.log"))
            var information = stat()
            #expect(stat(folder + "/sink/images", &information) == 0)
            #expect(information.st_mode & 0o777 == 0o755)
        }
    }

    @Test(arguments: [
        "../x.img", "/etc/x.img", "a/b.img", ".img", "x", "x.img.sh", "x y.img", "", "manifest.json",
        String(repeating: "x", count: 200) + ".img",
    ])
    func namesThatAreNoImagesAreRefused(name: String) throws {
        try withFolder { folder in
            let receiver = try CheckpointReceiver(directory: folder + "/sink", limit: 1000)
            #expect(throws: CheckpointError.self) {
                try receiver.accept(.file(name: name, bytes: [1], isLast: true))
            }
        }
    }

    @Test func whatIsTooLargeOrNotWholeIsRefused() throws {
        try withFolder { folder in
            let receiver = try CheckpointReceiver(directory: folder + "/sink", limit: 10)
            try receiver.accept(.file(name: "a.img", bytes: [1, 2, 3], isLast: false))
            #expect(throws: CheckpointError.self, "another file in the middle") {
                try receiver.accept(.file(name: "b.img", bytes: [], isLast: true))
            }
            #expect(throws: CheckpointError.self, "the end in the middle") {
                try receiver.accept(.end(files: 1, bytes: 3))
            }
            try receiver.accept(.file(name: "a.img", bytes: [], isLast: true))
            #expect(throws: (any Error).self, "twice") {
                try receiver.accept(.file(name: "a.img", bytes: [], isLast: true))
            }
            #expect(throws: CheckpointError.self, "another number") {
                try receiver.accept(.end(files: 2, bytes: 3))
            }
            #expect(throws: CheckpointError.self, "not complete") { try receiver.finish() }
            #expect(throws: CheckpointError.self, "too large") {
                try receiver.accept(
                    .file(name: "c.img", bytes: [UInt8](repeating: 0, count: 8), isLast: true))
            }
        }
    }

    @Test func aWholeCheckpointGoesThroughAStream() async throws {
        try await withFolder { folder in
            let source = try makeCheckpoint(folder + "/source")
            try CheckpointStore.seal(source)
            #expect(try await pass(source, to: folder + "/sink", limit: 10 << 20)?.container == "c1")
            #expect(CheckpointStore.exists(folder + "/sink"))
            #expect(
                try Files.bytes(source + "/images/large.img")
                    == Files.bytes(folder + "/sink/images/large.img"))
        }
    }

    @Test func oneThatWasAlteredOrIsTooLargeLeavesNothing() async throws {
        try await withFolder { folder in
            let source = try makeCheckpoint(folder + "/source")
            try CheckpointStore.seal(source)
            #expect(try await pass(source, to: folder + "/small", limit: 1000) == nil)
            #expect(!Files.exists(folder + "/small"))
            try Files.write(source + "/images/files.img", [1])
            #expect(try await pass(source, to: folder + "/sink", limit: 10 << 20) == nil)
            #expect(!Files.exists(folder + "/sink"))
        }
    }

    /// What arrives at the other end of a stream, if anything does.
    private func pass(_ source: String, to sink: String, limit: Int64) async throws -> CheckpointRecord? {
        let (one, other) = try UnixSocket.pair(.stream)
        let sending = Task {
            defer { one.close() }
            try await CheckpointStore.send(source, over: one)
        }
        let record = try? await CheckpointStore.receive(into: sink, over: other, limit: limit)
        other.close()
        _ = await sending.result
        return record
    }

    @Test func aFileThatIsThereAlreadyIsNotWrittenOver() throws {
        try withFolder { folder in
            let receiver = try CheckpointReceiver(directory: folder + "/sink", limit: 1000)
            try Files.write(receiver.images + "/pages-1.img", [1])
            #expect(throws: SystemError.self) {
                try receiver.accept(.file(name: "pages-1.img", bytes: [2], isLast: true))
            }
            #expect(try Files.bytes(receiver.images + "/pages-1.img") == [1])
        }
    }

    @Test func aRecordMayNotShowTheHostsFiles() throws {
        try withFolder { folder in
            let source = try makeCheckpoint(
                folder + "/source",
                mounts: [
                    CheckpointExternalMount(
                        mountPoint: "/mnt", key: "x", source: .host(path: "/etc/shadow"))
                ])
            let receiver = try CheckpointReceiver(directory: folder + "/sink", limit: 10 << 20)
            var reader = try CheckpointReader(directory: source)
            while let chunk = try reader.next() { try receiver.accept(chunk) }
            let error = #expect(throws: CheckpointError.self) { try receiver.finish() }
            #expect(error?.message.contains("/etc/shadow") == true)
        }
    }

    private func makeCheckpoint(_ directory: String, mounts: [CheckpointExternalMount] = []) throws -> String
    {
        try Files.makeDirectories(directory + "/images")
        let record = CheckpointRecord(
            container: "c1", takenAt: 1,
            compatibility: CheckpointCompatibility(
                criu: "4.2.1", kernel: "6", architecture: "x", cpuFeatures: [], cgroupLayout: "v2", apus: "1"),
            cgroups: [], tasks: [], externalMounts: mounts, emptyNetwork: true, loopbackUp: true,
            networkSettings: [:], idmap: nil)
        try Files.write(directory + "/checkpoint.json", Array(try JSONEncoder().encode(record)))
        for (name, size) in [
            ("inventory.img", 10), ("pstree.img", 0), ("files.img", 100), ("large.img", 700_001),
            ("exact.img", CheckpointReader.chunkSize * 2), ("dump.log", 5), ("stats-dump", 5),
        ] {
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ name.utf8.count) }
            try Files.write("\(directory)/images/\(name)", bytes)
        }
        return directory
    }

    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = "/tmp/apus-chunks-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try Files.makeDirectories(folder)
        defer { try? removeTree(folder) }
        try await body(folder)
    }

    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = "/tmp/apus-chunks-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try Files.makeDirectories(folder)
        defer { try? removeTree(folder) }
        try body(folder)
    }
}
