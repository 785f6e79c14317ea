import CLinux
import LinuxSystem

/// Capabilities no process of a container may have.
enum Capabilities {
    /// sys_module, sys_rawio, sys_time, mac_override, mac_admin: they mean the host's kernel, not the
    /// container.
    static let dropped: [Int32] = [16, 17, 25, 32, 33]

    /// Takes them out of the bounding set of this process, for ever.
    static func limitBoundingSet() throws {
        for capability in dropped {
            try check("prctl", "drop capability \(capability)") { apus_capability_drop_bounding(capability) }
        }
    }
}
