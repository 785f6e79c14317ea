internal import FoundationEssentials
internal import SwiftProtobuf

extension SavedReader {
    /// The mounts of every namespace that a process is in.
    mutating func mounts(
        of processes: [CRIUSavedState.Process]
    ) throws(CRIUError) -> [CRIUSavedState.Mount] {
        var seen: Set<UInt32> = [0]
        var result: [CRIUSavedState.Mount] = []
        for process in processes where seen.insert(process.mountNamespace).inserted {
            let name = "mountpoints-\(process.mountNamespace).img"
            guard let image = try images.optional(name, .mounts) else { continue }
            try add(image.entries.count, name)
            var saved: [criu_saved_mount] = []
            for entry in image.entries { saved.append(try image.decode(entry)) }
            let root = saved.first { text($0.path) == "/" }
            result += saved.map { mount($0, in: process.mountNamespace, root: root) }
        }
        return result
    }

    private func mount(
        _ saved: criu_saved_mount, in namespace: UInt32, root: criu_saved_mount?
    ) -> CRIUSavedState.Mount {
        var part = text(saved.root)
        if let root, saved.device == root.device {
            // Where the tasks' root lies in its file system is the host's affair.
            let above = text(root.root)
            if part == above {
                part = "/"
            } else if above != "/", part.hasPrefix(above + "/") {
                part = String(part.dropFirst(above.count))
            }
        }
        return CRIUSavedState.Mount(
            namespace: namespace, path: text(saved.path), kind: kind(saved), source: text(saved.source),
            root: part, isReadOnly: saved.flags & 1 != 0, isExternal: saved.external)
    }

    /// CRIU's kinds of file systems, by their numbers.
    private static let kinds = [
        "", "proc", "sysfs", "devtmpfs", "binfmt_misc", "tmpfs", "devpts", "simfs", "pstore", "securityfs",
        "fusectl", "debugfs", "cgroup", "aufs", "mqueue", "fuse", "", "overlay", "autofs", "tracefs", "", "",
        "", "cgroup2",
    ]

    private func kind(_ saved: criu_saved_mount) -> String {
        guard let number = Int(exactly: saved.kind), Self.kinds.indices.contains(number) else {
            return "kind \(saved.kind)"
        }
        return Self.kinds[number].isEmpty ? text(saved.name) : Self.kinds[number]
    }
}
