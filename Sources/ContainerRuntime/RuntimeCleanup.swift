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
        var failure: (any Error)?
        func attempt(_ body: () async throws -> Void) async {
            do { try await body() } catch { failure = failure ?? error }
        }
        let cgroup = ContainerCgroup(layout: try .current(), name: name)
        let runtime = runtimeProcess(runtimeDirectory)
        await attempt { try await cgroup.destroy() }
        // With its init gone the runtime cleans up too, and ends.
        if let runtime, try await !runtime.waitForEnd(milliseconds: 3000) {
            runtime.signal(SIGKILL)
            try await runtime.waitUntilGone()
        }
        await attempt { try Mount.unmountAll(below: runtimeDirectory) }
        await attempt { try removeTree(runtimeDirectory) }
        if let failure { throw failure }
    }

    /// The runtime that lives in a directory, if it does. Its number alone would not do: it may be another's
    /// by now.
    private static func runtimeProcess(_ directory: String) -> ProcessDescriptor? {
        guard let pid = RuntimeConnection(name: "", runtimeDirectory: directory).lastStatus()?.runtimePID,
            let process = try? ProcessDescriptor(pid: pid)
        else { return nil }
        let words = Proc.commandLine(pid)
        return words.prefix(2) == ["apus-runtime", "monitor"] ? process : nil
    }
}
