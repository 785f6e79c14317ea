import CLinux
import Glibc
import LinuxSystem

/// Makes the control groups a container had below its root again, and puts its processes back into them.
struct RestoreCgroups {
    /// CRIU and what it restores wait here until each process goes to its own control group. Not in the root:
    /// a v2 group that hands controllers on may hold no process.
    static let waitingRoom = ".apus-restore"

    let cgroup: ContainerCgroup
    let record: CheckpointRecord

    /// The container's root in the unified hierarchy; nil where there is none.
    var root: String? {
        cgroup.layout.unified.map { cgroup.path(in: $0) + "/" + ContainerCgroup.inner }
    }

    /// Makes the waiting room.
    static func makeWaitingRoom(of cgroup: ContainerCgroup) throws {
        guard let room = room(of: cgroup) else { return }
        if mkdir(room, 0o755) != 0, errno != EEXIST { throw SystemError("mkdir", "make the cgroup \(room)") }
    }

    /// The file through which a process gets from the container's root into the waiting room.
    static func waitingRoomProcs(of cgroup: ContainerCgroup) -> String? {
        room(of: cgroup).map { "\($0)/cgroup.procs" }
    }

    private static func room(of cgroup: ContainerCgroup) -> String? {
        cgroup.layout.unified.map { "\(cgroup.path(in: $0))/\(ContainerCgroup.inner)/\(waitingRoom)" }
    }

    /// Makes the tree and what was set in it, parents first.
    func makeTree() throws {
        guard let root else { return }
        for group in record.cgroups {
            guard !group.path.split(separator: "/").contains("..") else {
                throw RuntimeError(.malformed, "the checkpoint names the cgroup \(group.path)")
            }
            let directory = group.path.isEmpty ? root : "\(root)/\(group.path)"
            if mkdir(directory, mode_t(group.mode)) != 0, errno != EEXIST {
                throw SystemError("mkdir", "make the cgroup \(directory)")
            }
            for file in ["", "/cgroup.procs", "/cgroup.threads", "/cgroup.subtree_control"] {
                try check("chown", "give \(directory)\(file) to the container") {
                    chown(directory + file, group.uid, group.gid)
                }
            }
        }
        for group in record.cgroups {
            let directory = group.path.isEmpty ? root : "\(root)/\(group.path)"
            for (file, value) in group.settings.sorted(by: { $0.key < $1.key }) where !file.contains("/") {
                // A controller this host has elsewhere: the limits that matter are on the outer group.
                try? Files.poke("\(directory)/\(file)", value)
            }
        }
    }

    /// The processes CRIU has restored: by their number inside, their number here.
    func restoredProcesses(except criu: pid_t) -> [Int32: pid_t] {
        guard let file = Self.waitingRoomProcs(of: cgroup), let text = try? Files.text(file) else {
            return [:]
        }
        var result: [Int32: pid_t] = [:]
        for pid in text.split(separator: "\n").compactMap({ pid_t($0) }) where pid != criu {
            if let inside = Self.numberInside(pid) { result[inside] = pid }
        }
        return result
    }

    /// Puts every process into its own control group.
    func place(_ processes: [Int32: pid_t]) throws {
        guard let root else { return }
        let home = Dictionary(record.tasks.map { ($0.pid, $0.cgroup) }) { first, _ in first }
        for (inside, pid) in processes {
            // A helper of CRIU's, or a process the record does not know: it belongs to init's group.
            let path = home[inside] ?? home[1] ?? ""
            let directory = path.isEmpty ? root : "\(root)/\(path)"
            do {
                try Files.poke("\(directory)/cgroup.procs", "\(pid)")
            } catch let error as SystemError where error.errno == ESRCH {
                // A zombie.
            }
        }
    }

    /// Has what was restored stand still, CRIU excepted, until `release`: where CRIU or this process dies before it is
    /// certain that the container is to run, no instruction of it has run. What it writes could not be taken back.
    func hold(except criu: pid_t) throws {
        guard let root, let outer = cgroup.layout.unified.map({ cgroup.path(in: $0) }) else { return }
        try Files.poke("\(outer)/\(ContainerCgroup.agent)/cgroup.procs", "\(criu)")
        try Files.poke(root + "/cgroup.freeze", "1")
    }

    /// Lets what was restored run.
    func release() throws {
        if let root { try Files.poke(root + "/cgroup.freeze", "0") }
    }

    /// Removes the waiting room, empty once CRIU has ended.
    func removeWaitingRoom() {
        if let root { _ = rmdir("\(root)/\(Self.waitingRoom)") }
    }

    /// The number a process or thread has inside the container.
    static func numberInside(_ pid: pid_t, thread: pid_t? = nil) -> Int32? {
        let file = thread.map { "/proc/\(pid)/task/\($0)/status" } ?? "/proc/\(pid)/status"
        guard let text = try? Files.text(file), let line = ProcessStatus.parseFields(text)["NSpid"] else {
            return nil
        }
        let numbers = line.split(whereSeparator: { $0 == "\t" || $0 == " " })
        return numbers.count > 1 ? Int32(numbers[1]) : nil
    }
}
