public import LinuxSystem

/// One cgroup hierarchy of the host.
public struct CgroupHierarchy: Sendable, Hashable {
    /// Where it is mounted.
    public var path: String
    /// Its controllers; of a named one `name=…`. Those of v2 are read from its root.
    public var controllers: [String]
    /// Whether it is the unified hierarchy.
    public var isV2: Bool

    /// A hierarchy.
    public init(path: String, controllers: [String], isV2: Bool) {
        self.path = path
        self.controllers = controllers
        self.isV2 = isV2
    }
}

/// The cgroup hierarchies of the host: v1, v2, or both.
public struct CgroupLayout: Sendable, Hashable {
    /// The three ways a host can have them.
    public enum Kind: String, Sendable, Codable {
        /// Controllers on v1 hierarchies, no unified one but the one that we had to mount.
        case v1
        /// Controllers on v1 hierarchies, and a unified one.
        case hybrid
        /// The unified hierarchy alone.
        case v2
    }
    /// Every hierarchy, each once.
    public var hierarchies: [CgroupHierarchy]

    /// A layout.
    public init(hierarchies: [CgroupHierarchy]) { self.hierarchies = hierarchies }

    /// v1, hybrid or v2.
    public var kind: Kind {
        if unified == nil || unified?.path == "/run/apus/cgroup2" { return .v1 }
        return hierarchies.count == 1 ? .v2 : .hybrid
    }

    /// The unified hierarchy.
    public var unified: CgroupHierarchy? { hierarchies.first(where: \.isV2) }

    /// The hierarchy that has a controller, such as `memory`.
    public func hierarchy(for controller: String) -> CgroupHierarchy? {
        hierarchies.first { $0.controllers.contains(controller) }
    }

    /// The layout of this host, as mounted now. Where the unified hierarchy is mounted nowhere it is mounted
    /// at `/run/apus/cgroup2`: containers see nothing else.
    public static func current() throws -> CgroupLayout {
        let found = detect(try MountInfo.current())
        if found.unified != nil { return found }
        let place = "/run/apus/cgroup2"
        try Files.makeDirectories(place)
        try Mount.mount("cgroup2", on: place, type: "cgroup2", flags: [.noSUID, .noDevices, .noExec])
        return detect(try MountInfo.current())
    }

    /// The layout in a list of mounts; paths get `prefix` in front (for tests).
    public static func detect(_ mounts: [MountInfo], prefix: String = "") -> CgroupLayout {
        var result: [CgroupHierarchy] = []
        for mount in mounts where mount.root == "/" {
            let path = prefix + mount.mountPoint
            if mount.type == "cgroup2", !result.contains(where: \.isV2) {
                let controllers = (try? Files.text(path + "/cgroup.controllers")) ?? ""
                result.append(
                    CgroupHierarchy(
                        path: path,
                        controllers: controllers.split(whereSeparator: { $0 == " " || $0 == "\n" }).map(
                            String.init),
                        isV2: true))
            } else if mount.type == "cgroup" {
                let names = mount.superOptions.filter { $0.hasPrefix("name=") || known.contains($0) }
                // The same hierarchy may be mounted more than once.
                guard !names.isEmpty, !result.contains(where: { $0.controllers == names }) else { continue }
                result.append(CgroupHierarchy(path: path, controllers: names, isV2: false))
            }
        }
        return CgroupLayout(hierarchies: result)
    }

    private static let known: Set<String> = [
        "cpu", "cpuacct", "cpuset", "blkio", "memory", "devices", "freezer", "net_cls", "net_prio",
        "perf_event",
        "hugetlb", "pids", "rdma", "misc",
    ]
}
