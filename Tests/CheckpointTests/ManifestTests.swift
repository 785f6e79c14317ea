import Checkpoint
import Glibc
import LinuxSystem
import Testing

/// A checkpoint that somebody touched is refused before anything else happens.
@Suite struct ManifestTests {
    @Test func anUntouchedCheckpointPasses() async throws {
        try await withCheckpoint { directory in
            try CheckpointStore.check(directory)
            try await CheckpointStore.verifyMemory(directory: directory)
            #expect(CheckpointStore.exists(directory))
            #expect(CheckpointStore.size(directory: directory) > 0)
        }
    }

    @Test func aChangedFileIsRefused() async throws {
        try await withCheckpoint { directory in
            try Files.write("\(directory)/images/core-1.img", "other", mode: 0o644)
            expectRefusal(directory, "core-1.img has changed")
        }
    }

    @Test func aTruncatedFileIsRefused() async throws {
        try await withCheckpoint { directory in
            #expect(truncate("\(directory)/images/core-1.img", 2) == 0)
            expectRefusal(directory, "core-1.img has changed")
        }
    }

    @Test func changedMemoryIsRefused() async throws {
        try await withCheckpoint { directory in
            try Files.write("\(directory)/images/pages-1.img", "PAGES", mode: 0o644)
            try CheckpointStore.check(directory)
            await #expect(throws: CheckpointError.self) {
                try await CheckpointStore.verifyMemory(directory: directory)
            }
        }
    }

    /// Large files are summed up in pieces, by all processors.
    @Test(arguments: [0, 16 << 20, (40 << 20) - 1])
    func aChangedByteOfMuchMemoryIsRefused(offset: Int) async throws {
        try await withCheckpoint { directory in
            let path = "\(directory)/images/pages-1.img"
            #expect(truncate(path, 40 << 20) == 0)
            try CheckpointStore.seal(directory)
            try await CheckpointStore.verifyMemory(directory: directory)
            let file = try FileDescriptor.open(path, O_WRONLY)
            #expect(pwrite(file.rawValue, "x", 1, offset) == 1)
            try CheckpointStore.check(directory)
            await #expect(throws: CheckpointError.self) {
                try await CheckpointStore.verifyMemory(directory: directory)
            }
        }
    }

    @Test func memoryThatEndsWithAPieceIsSummedUp() async throws {
        try await withCheckpoint { directory in
            #expect(truncate("\(directory)/images/pages-1.img", 32 << 20) == 0)
            try CheckpointStore.seal(directory)
            try await CheckpointStore.verifyMemory(directory: directory)
        }
    }

    @Test func memoryOfAnotherSizeIsRefusedAtOnce() async throws {
        try await withCheckpoint { directory in
            #expect(truncate("\(directory)/images/pages-1.img", 1) == 0)
            expectRefusal(directory, "pages-1.img has changed")
        }
    }

    @Test func aMissingFileIsRefused() async throws {
        try await withCheckpoint { directory in
            #expect(unlink("\(directory)/images/core-1.img") == 0)
            expectRefusal(directory, "core-1.img is missing")
        }
    }

    @Test func anExtraFileIsRefused() async throws {
        try await withCheckpoint { directory in
            try Files.write("\(directory)/images/extra.img", "x", mode: 0o644)
            expectRefusal(directory, "extra.img was not there")
        }
    }

    @Test func aSymlinkIsRefused() async throws {
        try await withCheckpoint { directory in
            #expect(unlink("\(directory)/images/core-1.img") == 0)
            #expect(symlink("/etc/hostname", "\(directory)/images/core-1.img") == 0)
            expectRefusal(directory, "neither a file nor a directory")
        }
    }

    @Test func aChangedRecordIsRefused() async throws {
        try await withCheckpoint { directory in
            try Files.write("\(directory)/checkpoint.json", "{}")
            expectRefusal(directory, "checkpoint.json has changed")
        }
    }

    @Test(arguments: ["", "{", "[]", "{\"files\":3}"])
    func aDamagedManifestIsRefused(_ text: String) async throws {
        try await withCheckpoint { directory in
            try Files.write("\(directory)/manifest.json", text)
            expectRefusal(directory, "manifest")
        }
    }

    @Test func aCheckpointWithoutManifestIsNotWhole() async throws {
        try await withCheckpoint { directory in
            #expect(unlink("\(directory)/manifest.json") == 0)
            #expect(!CheckpointStore.exists(directory))
            expectRefusal(directory, "incomplete")
        }
    }

    private func expectRefusal(_ directory: String, _ words: String) {
        let error = #expect(throws: CheckpointError.self) { try CheckpointStore.check(directory) }
        #expect(error?.code == .altered)
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "no error")")
    }

    private func withCheckpoint(_ body: (String) async throws -> Void) async throws {
        var template = Array("/tmp/apus-checkpoint-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let directory = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } } ?? ""
        defer { try? CheckpointStore.remove(directory: directory) }
        try Files.makeDirectories("\(directory)/images")
        try Files.write("\(directory)/checkpoint.json", "{\"format\":1}")
        try Files.write("\(directory)/images/core-1.img", "a process", mode: 0o644)
        try Files.write("\(directory)/images/pages-1.img", "pages", mode: 0o644)
        try CheckpointStore.seal(directory)
        try await body(directory)
    }
}
