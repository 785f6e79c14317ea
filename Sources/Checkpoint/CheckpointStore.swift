public import ContainerRuntime
import CRIU
import Dispatch
import FoundationEssentials
import Glibc
import LinuxSystem

/// Checkpoints as they lie on disk: a directory of 0700 with `images/`, `checkpoint.json` and `manifest.json`.
public enum CheckpointStore {
    static let recordFile = "checkpoint.json"
    static let images = "images"

    /// Whether there is a whole checkpoint in a directory.
    public static func exists(_ directory: String) -> Bool {
        Files.exists("\(directory)/\(Manifest.fileName)") && Files.exists("\(directory)/\(recordFile)")
    }

    /// Reads what was recorded.
    public static func record(_ directory: String) throws -> CheckpointRecord {
        let path = "\(directory)/\(recordFile)"
        do {
            return try JSONDecoder().decode(
                CheckpointRecord.self, from: Data(try Files.bytes(path, limit: 64 << 20)))
        } catch let error as SystemError {
            throw CheckpointError(.altered, "there is no checkpoint in \(directory): \(error)")
        } catch {
            throw CheckpointError(.altered, "\(path) is damaged; the checkpoint cannot be restored")
        }
    }

    /// Refuses a checkpoint that was altered or does not suit this machine, before anything is touched. Memory
    /// pages are left to `verifyMemory`, which may run while the restore is under way.
    @discardableResult
    public static func verify(directory: String, with checkpointer: Checkpointer) throws -> CheckpointRecord {
        try check(directory)
        let record = try record(directory)
        guard record.format <= CheckpointRecord.currentFormat else {
            throw CheckpointError(
                .incompatible,
                "the checkpoint in \(directory) was made by a newer Apus (\(record.compatibility.apus))")
        }
        if let objection = record.compatibility.objection(to: checkpointer.compatibility) {
            throw CheckpointError(
                .incompatible, "the checkpoint of \(record.container) cannot be restored here: \(objection)")
        }
        return record
    }

    /// Completes a checkpoint whose maker was killed after CRIU had finished (and, for a stateful stop, had ended the
    /// tasks). False: it is not whole and of no use; the container then runs on.
    public static func completeInterrupted(_ directory: String) throws -> Bool {
        if exists(directory) { return true }
        // CRIU writes its statistics last of all.
        guard Files.exists("\(directory)/\(recordFile)"), Files.exists("\(directory)/\(images)/stats-dump")
        else {
            return false
        }
        try mend(directory, record(directory))
        try seal(directory)
        return true
    }

    /// Mends what CRIU gets wrong: periodic timers that had just expired, and terminals whose session it missed.
    static func mend(_ directory: String, _ record: CheckpointRecord) throws {
        try mend("\(directory)/\(images)/files.img", .files) { try CRIUTimers.mendExpired($0) }
        try mend("\(directory)/\(images)/tty-info.img", .terminals) {
            try CRIUTerminals.mendSessions($0, record.terminals)
        }
    }

    private static func mend(
        _ path: String, _ magic: CRIUImage.Magic, _ change: (CRIUImage) throws -> CRIUImage?
    ) throws {
        guard Files.exists(path), let mended = try change(CRIUImage(path: path, magic: magic)) else { return }
        try Files.replace(path, mended.bytes, mode: 0o644, sync: false)
    }

    /// Compares everything but memory pages with the manifest.
    package static func check(_ directory: String) throws {
        try Manifest(readingFrom: directory).verify(directory, .allButMemory)
    }

    /// Writes the manifest, with which a checkpoint is whole.
    package static func seal(_ directory: String) throws {
        try Manifest(of: directory).write(to: directory)
    }

    /// Compares memory pages with the manifest. Run it beside the restore and wait for it before the commit.
    public static func verifyMemory(directory: String) async throws {
        try await onThread { try Manifest(readingFrom: directory).verify(directory, .memoryOnly) }
    }

    /// Whether CRIU has linked files back into the container's file system for the checkpoint that is being made.
    static func hasRelinkedFiles(_ directory: String) -> Bool {
        let path = "\(directory)/\(images)/remap-fpath.img"
        guard Files.exists(path) else { return false }
        return (try? CRIURemaps.linksFiles(CRIUImage(path: path, magic: .remaps))) ?? true
    }

    /// The bytes a checkpoint occupies.
    public static func size(directory: String) -> Int64 {
        guard let manifest = try? Manifest(readingFrom: directory) else { return 0 }
        return manifest.files.values.reduce(0) { $0 + $1.size }
    }

    /// Removes a checkpoint. A killed restore leaves mounts of the host's cgroup trees in the images; those are
    /// unmounted first, and the removal never crosses into another file system.
    public static func remove(directory: String) throws {
        guard Files.exists(directory) else { return }
        try Mount.unmountAll(below: directory)
        try removeTree(directory)
    }

    /// Waits until no process has anything open at or below a directory any more: CRIU keeps the directory of its
    /// images open for as long as it works. False: there still is one when the time is up.
    public static func waitForWriters(directory: String, limit: Duration) async -> Bool {
        let end = ContinuousClock.now + limit
        while let writer = try? await onThread({ writer(below: directory) }) {
            let left = (end - ContinuousClock.now) / .milliseconds(1)
            guard left > 0, (try? await writer.waitForEnd(milliseconds: Int(left))) == true else {
                return false
            }
        }
        return true
    }

    private static func writer(below directory: String) -> ProcessDescriptor? {
        for pid in ((try? Files.names(in: "/proc")) ?? []).compactMap({ pid_t($0) }) where pid != getpid() {
            guard let process = try? ProcessDescriptor(pid: pid), let open = try? Proc.descriptors(pid),
                open.contains(where: { $0.target == directory || $0.target.hasPrefix(directory + "/") })
            else { continue }
            return process
        }
        return nil
    }

    /// Makes the directory for a new checkpoint. Root alone may enter it; the images within are searchable, because
    /// CRIU reads some of them as the container's users.
    static func make(_ directory: String) throws {
        try remove(directory: directory)
        try Files.makeDirectories(directory, mode: 0o700)
        try LinuxSystem.check("chmod", "close \(directory)") { chmod(directory, 0o700) }
        try LinuxSystem.check("mkdir", "make \(directory)/\(images)") {
            mkdir("\(directory)/\(images)", 0o755)
        }
        try LinuxSystem.check("chmod", "open \(directory)/\(images)") {
            chmod("\(directory)/\(images)", 0o755)
        }
    }

    /// Writes the record.
    static func write(_ record: CheckpointRecord, to directory: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
        try Files.write("\(directory)/\(recordFile)", Array(try encoder.encode(record)))
    }
}

/// Runs blocking work in a thread of its own and waits for it without blocking a task.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue(label: "checkpoint").async { continuation.resume(with: Result(catching: body)) }
    }
}
