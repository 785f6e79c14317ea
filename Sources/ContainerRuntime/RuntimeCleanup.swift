import LinuxSystem

/// Removes what a generation of a container has left on the host, whatever state it is in. Safe to call again.
public enum RuntimeCleanup {
    /// Kills every process in the generation's cgroups (thawing them first) and the runtime itself, unmounts all
    /// below its runtime directory, and removes its cgroups and the runtime directory.
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
        await attempt { try await cgroup.destroy() }
        await attempt { try Mount.unmountAll(below: runtimeDirectory) }
        await attempt { try removeTree(runtimeDirectory) }
        if let failure { throw failure }
    }
}
