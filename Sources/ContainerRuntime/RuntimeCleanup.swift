import Glibc
import LinuxSystem

/// Removes what a generation of a container has left on the host, whatever state it is in. Safe to call
/// again.
public enum RuntimeCleanup {
    /// Kills every process in the generation's cgroups (thawing them first) and the runtime itself, unmounts
    /// all below its runtime directory, and removes its cgroups and the runtime directory.
    public static func remove(_ spec: ContainerSpec) async throws {
        try await remove(cgroup: spec.cgroup, runtimeDirectory: spec.runtimeDirectory)
    }

    /// The same for a generation of which only these are known.
    public static func remove(cgroup name: String, runtimeDirectory: String) async throws {
        // Of its own, so that it is done to the end also where nobody waits for it any more.
        try await Task { try await removeNow(name, runtimeDirectory) }.value
    }

    private static func removeNow(_ name: String, _ runtimeDirectory: String) async throws {
        var failure: (any Error)?
        func attempt(_ body: () async throws -> Void) async {
            do { try await body() } catch { failure = failure ?? error }
        }
        let cgroup = ContainerCgroup(layout: try .current(), name: name)
        // First those who could still make something: cgroups, mounts, processes.
        await attempt { try await endUnfinished(runtimeDirectory) }
        let monitors = RuntimeProcess.all(in: runtimeDirectory)
        await attempt { try await cgroup.destroy() }
        // With its init gone a monitor cleans up too, and ends.
        for monitor in monitors where try await !monitor.process.waitForEnd(milliseconds: 3000) {
            monitor.process.signal(SIGKILL)
            try await monitor.process.waitUntilGone()
        }
        await attempt { try BorrowedInterfaces(runtimeDirectory: runtimeDirectory).giveBack() }
        await attempt { try Mount.unmountAll(below: runtimeDirectory) }
        await attempt { try removeTree(runtimeDirectory) }
        if let failure { throw failure }
    }

    /// Kills runtimes that are still at starting or restoring, and what they have forked but not yet put into a cgroup.
    private static func endUnfinished(_ directory: String) async throws {
        while true {
            let unfinished = RuntimeProcess.all(in: directory).filter { !$0.isMonitor }
            guard !unfinished.isEmpty else { return }
            for each in unfinished { each.process.signal(SIGKILL) }
            for each in unfinished { try await each.process.waitUntilGone() }
        }
    }
}
