public import CRIU

/// The options dump and restore of a container have in common; what one does the other must undo.
public enum CheckpointOptionSet {
    /// The file systems systemd uses that CRIU does not know by itself.
    private static let fileSystems = ["ramfs", "hugetlbfs", "mqueue", "tracefs"]

    /// The options for a container of which `record` tells mounts and network.
    public static func common(
        externalMounts: [String], emptyNetwork: Bool, logFile: String, logLevel: CRIUCommonOptions.LogLevel
    ) -> CRIUCommonOptions {
        CRIUCommonOptions(
            logFile: logFile, logLevel: logLevel, external: externalMounts,
            enabledFileSystems: fileSystems, networkLock: emptyNetwork ? .skip : .nftables,
            emptyNetworkNamespace: emptyNetwork, cgroups: .ignore, orphanTerminalMasters: true)
    }
}
