public import Glibc
public import LinuxSystem

/// The cgroups of one generation of a container, in every hierarchy of the host:
///
/// - `apus-<daemon>/<name>.<generation>` carries the limits and is never seen by the container;
/// - `…/c` is what the container sees as the root, and in v2 may divide further;
/// - `…/c/.apus-exec` holds the programs that `exec` brought in;
/// - `…/agent`, in v2 alone, holds the process of ours that brings them in.
public struct ContainerCgroup: Sendable {
    /// The host's hierarchies.
    public let layout: CgroupLayout
    /// `apus-<daemon>/<name>.<generation>`.
    public let name: String

    /// The cgroup's name below `name` that is the container's root.
    public static let inner = "c"
    /// The cgroup's name below `inner` for programs that `exec` brought in.
    public static let execSessions = ".apus-exec"
    /// The cgroup's name below `name`, in v2, for the process that brings them in.
    public static let agent = "agent"

    /// Names the cgroups; makes nothing.
    public init(layout: CgroupLayout, name: String) {
        self.layout = layout
        self.name = name
    }

    /// The directory in a hierarchy.
    public func path(in hierarchy: CgroupHierarchy) -> String { hierarchy.path + "/" + name }

    /// `cgroup.procs` of a cgroup below `name` in every hierarchy, for a process to join.
    public func procsFiles(_ below: String = inner) -> [String] {
        layout.hierarchies.map { path(in: $0) + "/" + below + "/cgroup.procs" }
    }

    /// Makes the cgroups and gives the inner one of v2 to the container's root.
    public func create(owner idmap: IDMap?) throws {
        for hierarchy in layout.hierarchies {
            var directory = hierarchy.path
            let parts = name.split(separator: "/").map(String.init) + [Self.inner, Self.execSessions]
            for (index, part) in parts.enumerated() {
                if hierarchy.isV2, index <= parts.count - 2 { enableControllers(directory) }
                let above = directory
                directory += "/" + part
                if mkdir(directory, 0o755) != 0, errno != EEXIST {
                    throw SystemError("mkdir", "make the cgroup \(directory)")
                }
                guard !hierarchy.isV2 else { continue }
                if hierarchy.controllers.contains("cpuset") { try inheritCPUSet(above, directory) }
                if hierarchy.controllers.contains("devices"), index == parts.count - 3 {
                    try CgroupDevices.limitV1(directory)
                }
            }
            // A v1 hierarchy does it elsewhere, and nobody but a privileged container can make device nodes.
            if hierarchy.isV2, idmap == nil, layout.hierarchy(for: "devices") == nil {
                try CgroupDevices.limitV2(path(in: hierarchy))
            }
            if hierarchy.isV2, mkdir(path(in: hierarchy) + "/" + Self.agent, 0o755) != 0, errno != EEXIST {
                throw SystemError("mkdir", "make the cgroup \(path(in: hierarchy))/\(Self.agent)")
            }
            if hierarchy.isV2, let idmap {
                let root = path(in: hierarchy) + "/" + Self.inner
                for each in [root, root + "/" + Self.execSessions] { try delegate(each, to: idmap) }
            }
        }
    }

    /// Moves a process into the container's root cgroup, in every hierarchy.
    public func join(_ pid: pid_t) throws {
        for file in procsFiles() { try Files.poke(file, "\(pid)") }
    }

    /// Gives a v2 cgroup to the container's root, as the kernel's documentation wants it for delegation.
    public func delegate(_ directory: String, to idmap: IDMap) throws {
        guard let uid = idmap.hostUser(0), let gid = idmap.hostGroup(0) else { return }
        for file in ["", "/cgroup.procs", "/cgroup.threads", "/cgroup.subtree_control"] {
            try check("chown", "give \(directory)\(file) to the container") {
                chown(directory + file, uid, gid)
            }
        }
    }

    /// The controllers that a container may divide further.
    private static let handedOn: Set<String> = ["cpuset", "cpu", "io", "memory", "pids"]

    /// Hands the controllers of a v2 cgroup on to those below it, as far as it can.
    private func enableControllers(_ directory: String) {
        guard let available = try? Files.text(directory + "/cgroup.controllers") else { return }
        let enabled = (try? Files.text(directory + "/cgroup.subtree_control")) ?? ""
        let have = Set(enabled.split(whereSeparator: { $0 == " " || $0 == "\n" }))
        for controller in available.split(whereSeparator: { $0 == " " || $0 == "\n" })
        where Self.handedOn.contains(String(controller)) && !have.contains(controller) {
            // One by one: a controller that another hierarchy uses must not keep the others away.
            try? Files.poke(directory + "/cgroup.subtree_control", "+\(controller)")
        }
    }

    /// A v1 cpuset takes no task before its CPUs and memory nodes are named.
    private func inheritCPUSet(_ from: String, _ to: String) throws {
        for file in ["/cpuset.cpus", "/cpuset.mems"] where try Files.text(to + file).trimmingSpaces.isEmpty {
            try Files.poke(to + file, try Files.text(from + file).trimmingSpaces)
        }
    }
}
