import CLinux
public import Glibc

/// A mount made in the child's own mount namespace before it executes.
public struct SpawnMount: Sendable {
    /// What, where, which kind and options of mount(2).
    public var source: String, target: String, type: String, options: String
    /// Flags of mount(2).
    public var flags: MountFlags

    /// A mount.
    public init(
        _ source: String, on target: String, type: String, flags: MountFlags = [], options: String = ""
    ) {
        self.source = source
        self.target = target
        self.type = type
        self.flags = flags
        self.options = options
    }
}

/// How to start a program. Safe in a process with many threads.
public struct Spawn: Sendable {
    /// Program and arguments. A program without `/` is looked for in `PATH` (of `environment` if given, else
    /// ours).
    public var arguments: [String]
    /// The environment; nil is ours.
    public var environment: [String: String]?
    /// What the child gets as descriptor 0, 1, 2 …; of the first three those not named are /dev/null. Nothing
    /// else is inherited.
    public var fds: [Int32: FileDescriptor]
    /// Its working directory.
    public var directory: String?
    /// Whether it starts a session of its own, so that it outlives ours.
    public var newSession = false
    /// Its own mount namespace, private, with these mounts in it; nil is ours.
    public var mounts: [SpawnMount]?
    /// Paths of `cgroup.procs` files it joins first of all.
    public var cgroups: [String] = []
    /// Namespaces it joins, in this order.
    public var join: [FileDescriptor] = []
    /// Namespaces it makes (not user or pid) after having joined its cgroups.
    public var unshare: Namespaces = []
    /// The signal it gets when the thread that started it ends.
    public var parentDeathSignal: Int32 = 0
    /// User and group to become.
    public var user: (uid: uid_t, gid: gid_t)?

    /// A program with its arguments.
    public init(
        _ arguments: [String], environment: [String: String]? = nil, fds: [Int32: FileDescriptor] = [:],
        directory: String? = nil
    ) {
        self.arguments = arguments
        self.environment = environment
        self.fds = fds
        self.directory = directory
    }

    /// The same with changes made by `change`.
    public func configured(_ change: (inout Spawn) -> Void) -> Spawn {
        var copy = self
        change(&copy)
        return copy
    }

    /// Starts it. Returns once it executes, or throws the step that failed.
    public func start() throws -> ProcessDescriptor {
        guard let name = arguments.first else {
            throw SystemError(call: "execve", errno: EINVAL, context: "start a program without a name")
        }
        let environment = self.environment ?? Environment.all
        let path = try Spawn.find(name, in: environment["PATH"])
        var given = fds
        let null = try FileDescriptor.open("/dev/null", O_RDWR)
        for number in Int32(0)...2 where given[number] == nil { given[number] = null }
        let targets = given.keys.sorted()
        let sources = targets.map { given[$0]?.rawValue ?? -1 }
        let words = CStrings(arguments)
        let variables = CStrings(environment.map { "\($0.key)=\($0.value)" })
        let procs = CStrings(cgroups)
        let mountWords = (mounts ?? []).map { CStrings([$0.source, $0.target, $0.type, $0.options]) }
        let mountList = zip(mounts ?? [], mountWords).map { mount, words in
            apus_spawn_mount(
                source: words[0], target: words[1], type: words[2], options: words[3],
                flags: mount.flags.rawValue)
        }
        let joins = join.map(\.rawValue)
        let (pid, failure, request) = path.withCString { path in
            sources.withUnsafeBufferPointer { sources in
                targets.withUnsafeBufferPointer { targets in
                    mountList.withUnsafeBufferPointer { mountList in
                        joins.withUnsafeBufferPointer { joins in
                            Self.withOptionalCString(directory) { directory in
                                var request = apus_spawn()
                                request.path = path
                                request.argv = UnsafePointer(words.pointer)
                                request.envp = UnsafePointer(variables.pointer)
                                request.cwd = directory
                                request.fd_sources = sources.baseAddress
                                request.fd_targets = targets.baseAddress
                                request.fd_count = targets.count
                                request.new_session = newSession ? 1 : 0
                                request.private_mounts = mounts == nil ? 0 : 1
                                request.mounts = mountList.baseAddress
                                request.mount_count = mountList.count
                                request.cgroup_procs = procs.constPointer
                                request.cgroup_count = cgroups.count
                                request.join_fds = joins.baseAddress
                                request.join_count = joins.count
                                request.unshare_flags = Int32(bitPattern: unshare.rawValue)
                                request.parent_death_signal = parentDeathSignal
                                request.change_user = user == nil ? 0 : 1
                                request.uid = user?.uid ?? 0
                                request.gid = user?.gid ?? 0
                                // Arrays are released after their last use; what the pointers above point
                                // to has to live until the child executes.
                                return withExtendedLifetime(
                                    (self, given, words, variables, procs, mountWords)
                                ) {
                                    let pid = apus_spawn_start(&request)
                                    return (pid, errno, request)
                                }
                            }
                        }
                    }
                }
            }
        }
        guard pid > 0 else {
            let step = apus_spawn_step(request.failed_step).map { String(cString: $0) } ?? "clone"
            throw SystemError(call: step, errno: failure, context: "start \(path)")
        }
        return ProcessDescriptor(pid: pid, owning: FileDescriptor(owning: request.pidfd))
    }

    /// The path of a program: itself if it has a `/`, else the first one in PATH that can be executed.
    public static func find(_ name: String, in path: String? = nil) throws -> String {
        if name.contains("/") { return name }
        let search =
            path ?? Environment.all["PATH"] ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        for directory in search.split(separator: ":") {
            let candidate = "\(directory)/\(name)"
            if access(candidate, X_OK) == 0, !Files.isDirectory(candidate) { return candidate }
        }
        throw SystemError(call: "execve", errno: ENOENT, context: "find the program \(name) in \(search)")
    }

    private static func withOptionalCString<T>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> T) -> T {
        guard let text else { return body(nil) }
        return text.withCString { body($0) }
    }
}

/// The environment of this process.
public enum Environment {
    /// All variables.
    public static var all: [String: String] {
        var result: [String: String] = [:]
        var cursor = apus_environment()
        while let entry = cursor?.pointee {
            let text = String(cString: entry)
            if let equals = text.firstIndex(of: "=") {
                result[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            cursor = cursor?.advanced(by: 1)
        }
        return result
    }

    /// One variable.
    public static func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}

/// A NULL-terminated array of C strings that lives as long as this object.
public final class CStrings {
    /// What execve(2) wants.
    public let pointer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    /// Copies the texts.
    public init(_ texts: [String]) {
        count = texts.count
        pointer = .allocate(capacity: count + 1)
        for (index, text) in texts.enumerated() { pointer[index] = strdup(text) }
        pointer[count] = nil
    }

    deinit {
        for index in 0..<count { free(pointer[index]) }
        pointer.deallocate()
    }

    /// One of them.
    public subscript(_ index: Int) -> UnsafePointer<CChar>? { UnsafePointer(pointer[index]) }

    var constPointer: UnsafePointer<UnsafePointer<CChar>?> {
        UnsafeRawPointer(pointer).assumingMemoryBound(to: UnsafePointer<CChar>?.self)
    }
}
