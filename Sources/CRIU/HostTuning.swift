internal import Glibc
internal import LinuxSystem
internal import Synchronization

/// A setting of the host that is changed for the time of a dump or restore, and put back. Ending mounts,
/// control groups and processes waits for RCU, 8–40 ms each time; expedited, the wait is short.
/// `APUS_TUNE_HOST=0` in the environment switches it off.
public final class HostTuning: Sendable {
    private static let setting = "/sys/kernel/rcu_expedited"
    private static let noteFile = "/dev/shm/apus-rcu-expedited"

    private let lock: FileDescriptor
    private let done = Atomic(false)

    private init(lock: FileDescriptor) { self.lock = lock }

    /// Expedites RCU; nil when that is switched off, not possible, already so, or being done by another process.
    public static func expediteRCU() -> HostTuning? {
        guard Environment.value("APUS_TUNE_HOST") != "0", let lock = openLock() else { return nil }
        guard flock(lock.rawValue, LOCK_EX | LOCK_NB) == 0 else { return nil }
        let note = (try? lock.readAll(limit: 16)) ?? []
        let current = try? Files.text(setting, limit: 16).trimmingSpaces
        // A note left by a process that was killed: the setting is not the administrator's.
        guard current == "0" || (current == "1" && note == Array("0".utf8)) else { return nil }
        do {
            if note.isEmpty { try lock.write("0") }
            try Files.poke(setting, "1")
        } catch {
            return nil
        }
        return HostTuning(lock: lock)
    }

    /// Puts the setting back. May be called again.
    public func undo() {
        guard !done.exchange(true, ordering: .acquiringAndReleasing) else { return }
        try? Files.poke(Self.setting, "0")
        _ = ftruncate(lock.rawValue, 0)
        lock.close()
    }

    deinit { undo() }

    /// Puts back what a process that was killed has left changed. For the start of a daemon.
    public static func recover() {
        expediteRCU()?.undo()
    }

    private static func openLock() -> FileDescriptor? {
        guard let file = try? FileDescriptor.open(noteFile, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600),
            let information = try? file.status(), information.st_uid == geteuid(),
            information.st_mode & S_IFMT == S_IFREG
        else { return nil }
        return file
    }
}
