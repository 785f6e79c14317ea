import ApusAPI
import CRIU
import ContainerRuntime
import FoundationEssentials
import Glibc
import LinuxSystem
import Migration

/// How the memory of a container is to move, in the words of a request: "auto", "stop-copy" or "post-copy", and why.
struct MemoryWish: Sendable {
    var mode: String
    var reason: String

    /// A rate at which memory gets through a dump, the network and a restore, in bytes per second: what was measured
    /// between two hosts of two processors each (Benchmarks/RESULTS.md).
    static let carefulRate: UInt64 = 180 << 20

    /// Refuses what is no way to move memory.
    static func check(_ mode: String) throws {
        guard ["", "auto", "stop-copy", "post-copy", "pre-copy"].contains(mode) else {
            throw ServiceError.badRequest(
                "\"\(mode)\" is not a way to move memory; use \"auto\", \"stop-copy\" or \"post-copy\"")
        }
    }

    /// Bytes of memory that have to be sent of the processes from one on: what is not in files. What they share by fork(2)
    /// counts for each.
    static func bytes(below initPID: pid_t) -> UInt64 {
        Proc.tree(from: initPID).reduce(0) { sum, pid in
            let fields = (try? ProcessStatus.fields(pid: pid)) ?? [:]
            // "RssAnon:      1204 kB", proc_pid_status(5).
            return ["RssAnon", "RssShmem"].reduce(sum) { sum, name in
                let words = fields[name]?.split(whereSeparator: { $0 == " " || $0 == "\t" }) ?? []
                return sum + (words.first.flatMap { UInt64($0) } ?? 0) << 10
            }
        }
    }

    /// Whether memory can be sent while a container stands still, and that takes no longer than it may.
    static func fits(_ bytes: UInt64, milliseconds: UInt64) -> Bool {
        bytes / 1024 * 1000 / (carefulRate / 1024) <= milliseconds
    }
}

extension ContainerService {
    /// What can be known of a request's way to move memory before the other host hears of it.
    /// - Throws: why it cannot move like that.
    func memoryWish(_ name: String, _ asked: String) async throws -> MemoryWish {
        let entry = try entry(name)
        let config = expanded(entry.record).config
        let isAllowed = ConfigValues.isTrue(config, "migration.postcopy", default: true)
        switch asked {
        case "stop-copy": return MemoryWish(mode: asked, reason: "it was asked for")
        case "post-copy":
            guard isAllowed else {
                throw ServiceError.badRequest(
                    "cannot move \(name) before its memory: migration.postcopy is false. Set it to true, or use --memory stop-copy"
                )
            }
            if let obstacle = await lazyDumpObstacle() {
                throw ServiceError.badRequest("cannot move \(name) before its memory: \(obstacle)")
            }
            return MemoryWish(mode: asked, reason: "it was asked for")
        case "pre-copy":
            let tracks = try await CRIUService(.locate()).features().memoryTracking
            throw ServiceError.badRequest(
                tracks
                    ? "memory cannot be moved by pre-copy; use \"auto\", \"stop-copy\" or \"post-copy\""
                    : "cannot move \(name) by pre-copy: the kernel of its host does not track which pages have changed (CONFIG_MEM_SOFT_DIRTY). Use \"auto\", \"stop-copy\" or \"post-copy\""
            )
        default:
            let bytes = entry.live.map { MemoryWish.bytes(below: $0.initPID) } ?? 0
            let target = config["migration.downtime.target"].flatMap { UInt64($0) } ?? 300
            let size = "\(bytes >> 20) MiB"
            if MemoryWish.fits(bytes, milliseconds: target) {
                return MemoryWish(mode: "stop-copy", reason: "\(size) can be sent within \(target) ms")
            }
            guard isAllowed else {
                return MemoryWish(mode: "stop-copy", reason: "migration.postcopy is false")
            }
            if let obstacle = await lazyDumpObstacle() {
                return MemoryWish(mode: "stop-copy", reason: obstacle)
            }
            return MemoryWish(
                mode: "auto",
                reason: "sending \(size) while it stands still would take more than \(target) ms")
        }
    }

    /// Why memory cannot be left behind here.
    private func lazyDumpObstacle() async -> String? {
        guard let tuning = HostTuning.allowLargePipes() else {
            return "fs.pipe-max-size of its host is below 4194304 and must not be changed"
        }
        tuning.undo()
        return nil
    }

    /// Chooses for the sink of a move.
    func chooseMemory(_ offer: MoveOffer) async -> (mode: MoveMemory, reason: String, refusal: String?) {
        guard ["auto", "post-copy"].contains(offer.memoryMode) else { return (.stopCopy, "", nil) }
        guard let obstacle = await lazyRestoreObstacle() else { return (.postCopy, "", nil) }
        let refusal = "its memory cannot come after it on the other host: \(obstacle)"
        return (.stopCopy, obstacle, offer.memoryMode == "post-copy" ? refusal : nil)
    }

    /// Why memory cannot come later here.
    private func lazyRestoreObstacle() async -> String? {
        guard let features = try? await CRIUService(.locate()).features(), features.lazyPages else {
            return "its kernel has no userfaultfd that CRIU can use"
        }
        guard let tuning = HostTuning.allowFaultDescriptors() else {
            return "vm.unprivileged_userfaultfd is 0 there and must not be changed"
        }
        tuning.undo()
        return nil
    }

    /// Waits until a container that has come before its memory has all of it.
    func memoryComplete(_ name: String) async throws {
        guard let live = entries[name]?.live else {
            throw ServiceError.failure("it has ended")
        }
        try await live.connection.memoryComplete()
    }
}
