import Foundation
import Glibc

/// What one daemon has on the host beside its files, read from the kernel.
struct HostState: Sendable {
    /// Mount points below the daemon's folder, in the order they were made.
    var mounts: [String]
    /// Cgroups of the daemon's containers, in every hierarchy, deepest first.
    var cgroups: [String]
    /// Loop devices with a file below the daemon's folder.
    var loops: [String]
    /// Processes that belong to the daemon or one of its containers.
    var processes: [Int32: String]
    /// Cgroups of the daemon that are frozen.
    var frozen: [String]

    /// Looks at the host. `id` is the daemon's own, and `folder` its APUS_DIR.
    static func read(folder: String, id: String?) -> HostState {
        let cgroups = id.map { cgroupFolders(of: $0) } ?? []
        return HostState(
            mounts: allMounts().filter { $0.hasPrefix(folder + "/") || $0 == folder },
            cgroups: cgroups,
            loops: loopDevices(below: folder),
            processes: processes(folder: folder, cgroups: cgroups),
            frozen: cgroups.filter(isFrozen))
    }

    /// The daemon's own cgroup, which holds those of its containers, in each hierarchy.
    static func topCgroups(of id: String) -> [String] { hierarchies().map { "\($0)/apus-\(id)" } }

    /// What stays behind, one line each; nothing for a clean host.
    var leftovers: [String] {
        mounts.map { "mount \($0)" } + cgroups.map { "cgroup \($0)" } + loops.map { "loop device \($0)" }
            + processes.sorted { $0.key < $1.key }.map { "process \($0.key) (\($0.value))" }
    }

    /// What is here and was not in `before`, one line each.
    func added(since before: HostState) -> [String] {
        let old = Set(before.leftovers)
        return leftovers.filter { !old.contains($0) }
    }

    /// Mount points of this process's namespace.
    static func allMounts() -> [String] {
        text(of: "/proc/self/mountinfo").split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            return fields.count > 4 ? unescape(fields[4]) : nil
        }
    }

    /// The folders where cgroup hierarchies are mounted.
    static func hierarchies() -> [String] {
        text(of: "/proc/self/mountinfo").split(separator: "\n").compactMap { line in
            guard let dash = line.range(of: " - ") else { return nil }
            let kind = line[dash.upperBound...].prefix { $0 != " " }
            guard kind == "cgroup" || kind == "cgroup2" else { return nil }
            let fields = line.split(separator: " ")
            return unescape(fields[4])
        }
    }

    private static func cgroupFolders(of id: String) -> [String] {
        var found: [String] = []
        for hierarchy in hierarchies() {
            let top = "\(hierarchy)/apus-\(id)"
            guard FileManager.default.fileExists(atPath: top) else { continue }
            let below = FileManager.default.enumerator(atPath: top)
            while let path = below?.nextObject() as? String {
                var isFolder: ObjCBool = false
                let whole = "\(top)/\(path)"
                if FileManager.default.fileExists(atPath: whole, isDirectory: &isFolder), isFolder.boolValue {
                    found.append(whole)
                }
            }
        }
        return found.sorted { $0.count > $1.count }
    }

    private static func isFrozen(_ cgroup: String) -> Bool {
        if text(of: "\(cgroup)/cgroup.events").contains("frozen 1") { return true }
        let old = text(of: "\(cgroup)/freezer.state")
        return old.hasPrefix("FROZEN") || old.hasPrefix("FREEZING")
    }

    private static func loopDevices(below folder: String) -> [String] {
        names(in: "/sys/block").filter { $0.hasPrefix("loop") }.filter {
            text(of: "/sys/block/\($0)/loop/backing_file").hasPrefix(folder)
        }
    }

    private static func processes(folder: String, cgroups: [String]) -> [Int32: String] {
        var found: [Int32: String] = [:]
        for cgroup in cgroups {
            for line in text(of: "\(cgroup)/cgroup.procs").split(separator: "\n") {
                guard let pid = Int32(line), pid > 0 else { continue }
                let name = text(of: "/proc/\(pid)/comm").trimmingCharacters(in: .whitespacesAndNewlines)
                if !name.isEmpty { found[pid] = name }
            }
        }
        for name in names(in: "/proc") {
            guard let pid = Int32(name), pid != getpid(), found[pid] == nil else { continue }
            let words = text(of: "/proc/\(pid)/cmdline").split(separator: "\0")
            guard let program = words.first?.split(separator: "/").last.map(String.init) else { continue }
            // The runtime executes itself by descriptor, so its short name says nothing; its own words do.
            let ours = ["apus", "criu", "ld-linux", "tar", "mmdebstrap", "dnsmasq"].contains {
                program.hasPrefix($0)
            }
            if ours, belongs(pid, words: words, to: folder) { found[pid] = program }
        }
        return found
    }

    /// Whether a process has to do with a folder: by its arguments, its environment, or what it holds open.
    private static func belongs(_ pid: Int32, words: [Substring], to folder: String) -> Bool {
        if words.contains(where: { $0.contains(folder + "/") || $0.hasSuffix(folder) }) { return true }
        let variables = text(of: "/proc/\(pid)/environ").split(separator: "\0")
        if words.first?.hasSuffix("apusd") == true { return variables.contains("APUS_DIR=\(folder)") }
        return names(in: "/proc/\(pid)/fd").contains { number in
            let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\(number)")
            return link?.hasPrefix(folder + "/") == true
        }
    }

    /// The runtimes that watch over containers; without the helpers that they have below them.
    var runtimes: [Int32] {
        let all = processes.filter { $0.value.hasPrefix("apus-runtime") }.keys
        return all.filter { !all.contains(parent(of: $0)) }.sorted()
    }

    private static func unescape(_ field: Substring) -> String {
        field.replacingOccurrences(of: "\\040", with: " ").replacingOccurrences(of: "\\134", with: "\\")
    }
}

/// The text of a small file, or nothing if it cannot be read.
func text(of path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
        bytes.append(contentsOf: buffer[0..<count])
    }
}

/// The parent of a process; 0 if it has ended.
func parent(of pid: Int32) -> Int32 {
    let fields = (text(of: "/proc/\(pid)/stat").split(separator: ")").last ?? "").split(separator: " ")
    return fields.count > 1 ? Int32(fields[1]) ?? 0 : 0
}

/// The names in a folder; none if it cannot be read.
func names(in folder: String) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: folder))?.sorted() ?? []
}

/// Asks again and again, for as long as `limit`, and says what it waited for if the answer never comes.
func eventually(_ what: String, limit: Duration = .seconds(20), _ condition: () throws -> Bool) throws {
    let deadline = ContinuousClock.now + limit
    while try !condition() {
        guard ContinuousClock.now < deadline else { throw Trouble("waited \(limit) for \(what)") }
        usleep(20_000)
    }
}
