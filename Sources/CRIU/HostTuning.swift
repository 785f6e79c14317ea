internal import Glibc
internal import LinuxSystem
internal import Synchronization

/// A setting of the host that is changed for the time of a dump or restore, and put back by the last who needs it.
/// `APUS_TUNE_HOST=0` in the environment switches it off.
///
/// Whoever needs a setting holds a lock on its note, a file that says what it was before. A process that is killed
/// loses the lock, and the next one finds the note.
public final class HostTuning: Sendable {
    /// A setting, and what it is to be.
    private struct Setting {
        var file: String
        var note: String
        var wanted: String
        var suffices: @Sendable (String) -> Bool
    }

    /// Ending mounts, control groups and processes waits for RCU, 8–40 ms each time; expedited, the wait is short.
    private static let expeditedRCU = Setting(
        file: "/sys/kernel/rcu_expedited", note: "/dev/shm/apus-rcu-expedited", wanted: "1",
        suffices: { $0 == "1" })
    /// CRIU: "page-pipe: splice: -1: Bad file descriptor", where root may not have pipes as large as it likes.
    private static let largePipes = Setting(
        file: "/proc/sys/fs/pipe-max-size", note: "/dev/shm/apus-pipe-max-size", wanted: "4194304",
        suffices: { (Int($0) ?? 0) >= 4 << 20 })
    /// The tasks of an unprivileged container ask for a userfaultfd themselves.
    private static let faultDescriptors = Setting(
        file: "/proc/sys/vm/unprivileged_userfaultfd", note: "/dev/shm/apus-unprivileged-userfaultfd",
        wanted: "1", suffices: { $0 == "1" })

    /// A dump lists the connections that are tracked for the container, for which the kernel goes through the table of
    /// the whole machine: 11 ms for 262144 empty buckets, in which the container stands still; less than 1 ms for these.
    private static let fewBuckets = Setting(
        file: "/proc/sys/net/netfilter/nf_conntrack_buckets", note: "/dev/shm/apus-conntrack-buckets",
        wanted: "16384", suffices: { (Int($0) ?? 0) <= 2 * 16384 })
    /// Memory that is filled from front to back need not be got page by page: half of the time of doing so.
    private static let largeFolios = Setting(
        file: "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled",
        note: "/dev/shm/apus-hugepages-64kB", wanted: "always", suffices: { $0 == "always" })
    private static let connections = "/proc/sys/net/netfilter/nf_conntrack_count"

    private let setting: Setting
    private let lock: FileDescriptor?
    private let done = Atomic(false)

    private init(_ setting: Setting, lock: FileDescriptor?) {
        self.setting = setting
        self.lock = lock
    }

    /// All that shortens a dump, as far as it is possible.
    public static func forDump() -> [HostTuning] {
        // RCU first, because changing the table waits for it. A machine with many connections needs its table.
        let count = (try? Files.text(connections, limit: 32).trimmingSpaces).flatMap { Int($0) }
        let isIdle = count.map { $0 <= 16384 } ?? false
        return [change(expeditedRCU), isIdle ? change(fewBuckets) : nil].compactMap(\.self)
    }

    /// All that shortens a restore, as far as it is possible.
    /// - Parameter memory: how many bytes of memory come back that may take some more room than they did.
    public static func forRestore(memory: Int64) -> [HostTuning] {
        [change(expeditedRCU), memory >= 32 << 20 ? change(largeFolios) : nil].compactMap(\.self)
    }

    /// Allows pipes of 4 MiB, for a lazy dump; nil when they are neither allowed nor can be.
    public static func allowLargePipes() -> HostTuning? { change(largePipes) }

    /// Allows containers to have their memory filled later, for the time of a lazy restore; nil when that is neither
    /// allowed nor can be.
    public static func allowFaultDescriptors() -> HostTuning? { change(faultDescriptors) }

    /// Puts the setting back, if nobody else needs it. May be called again.
    public func undo() {
        guard !done.exchange(true, ordering: .acquiringAndReleasing), let lock else { return }
        defer { lock.close() }
        guard flock(lock.rawValue, LOCK_EX | LOCK_NB) == 0, let former = Self.note(lock) else { return }
        // Somebody else's value is left alone.
        if Self.current(setting) == setting.wanted { try? Files.poke(setting.file, former) }
        _ = ftruncate(lock.rawValue, 0)
    }

    deinit { undo() }

    /// Puts back what a process that was killed has left changed. For the start of a daemon.
    public static func recover() {
        let all = [expeditedRCU, largePipes, faultDescriptors, fewBuckets, largeFolios]
        for setting in all where Files.exists(setting.note) {
            guard let lock = openNote(setting) else { continue }
            if flock(lock.rawValue, LOCK_SH | LOCK_NB) == 0 { HostTuning(setting, lock: lock).undo() }
        }
    }

    private static func change(_ setting: Setting) -> HostTuning? {
        guard Environment.value("APUS_TUNE_HOST") != "0", let lock = openNote(setting) else {
            return isEnough(setting) ? HostTuning(setting, lock: nil) : nil
        }
        // Between two locks somebody else may have put it back.
        for _ in 0..<10 {
            if flock(lock.rawValue, LOCK_EX | LOCK_NB) == 0, !isEnough(setting) {
                guard let former = current(setting) else { return nil }
                do {
                    if note(lock) == nil { try lock.write(former) }
                    try Files.poke(setting.file, setting.wanted)
                } catch {
                    _ = ftruncate(lock.rawValue, 0)
                    return nil
                }
            }
            guard flock(lock.rawValue, LOCK_SH) == 0 else { return nil }
            if isEnough(setting) { return HostTuning(setting, lock: lock) }
        }
        return nil
    }

    private static func isEnough(_ setting: Setting) -> Bool {
        current(setting).map(setting.suffices) ?? false
    }

    /// What it is; of a choice ("always [never]") the one in brackets.
    private static func current(_ setting: Setting) -> String? {
        guard let text = try? Files.text(setting.file, limit: 256) else { return nil }
        guard let open = text.firstIndex(of: "["), let close = text.firstIndex(of: "]"), open < close else {
            return text.trimmingSpaces
        }
        return String(text[text.index(after: open)..<close])
    }

    /// What it was before somebody of us changed it; nil: nobody did.
    private static func note(_ lock: FileDescriptor) -> String? {
        guard let bytes = try? lock.readFromStart(limit: 32), !bytes.isEmpty else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func openNote(_ setting: Setting) -> FileDescriptor? {
        guard let file = try? FileDescriptor.open(setting.note, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600),
            let information = try? file.status(), information.st_uid == geteuid(),
            information.st_mode & S_IFMT == S_IFREG
        else { return nil }
        return file
    }
}

extension [HostTuning] {
    /// Puts them back, in the opposite order.
    public func undo() { for tuning in reversed() { tuning.undo() } }
}
