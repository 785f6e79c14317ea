public import Glibc
import LinuxSystem

extension ContainerCgroup {
    /// Stands every process of the container still, or lets them go on. Waits until they do stand still.
    public func setFrozen(_ frozen: Bool) async throws {
        if let v2 = layout.unified, Files.exists(path(in: v2) + "/cgroup.freeze") {
            try Files.poke(path(in: v2) + "/cgroup.freeze", frozen ? "1" : "0")
            if frozen { try await awaitEvent(path(in: v2) + "/cgroup.events", "frozen 1") }
        } else if let v1 = layout.hierarchy(for: "freezer") {
            let file = path(in: v1) + "/freezer.state"
            try Files.poke(file, frozen ? "FROZEN" : "THAWED")
            while frozen, try Files.text(file).trimmingSpaces != "FROZEN" {
                // v1 tells nobody when it is done.
                try await Task.sleep(for: .milliseconds(2))
                try Files.poke(file, "FROZEN")
            }
        }
    }

    /// The same for a thread of its own, which it blocks. Whoever cannot be made to stand still in two seconds is left to
    /// itself: it stops before it runs on.
    public func setFrozenBlocking(_ frozen: Bool) throws {
        if let v2 = layout.unified, Files.exists(path(in: v2) + "/cgroup.freeze") {
            try Files.poke(path(in: v2) + "/cgroup.freeze", frozen ? "1" : "0")
            guard frozen else { return }
            let events = try FileDescriptor.open(path(in: v2) + "/cgroup.events", O_RDONLY)
            for _ in 0..<100 {
                let text = String(decoding: try events.readFromStart(), as: UTF8.self)
                if text.split(separator: "\n").contains("frozen 1") { return }
                var entry = pollfd(fd: events.rawValue, events: Int16(POLLPRI), revents: 0)
                _ = poll(&entry, 1, 20)
            }
        } else if let v1 = layout.hierarchy(for: "freezer") {
            try Files.poke(path(in: v1) + "/freezer.state", frozen ? "FROZEN" : "THAWED")
        }
    }

    /// Whether the container is frozen (by `setFrozen`).
    public var isFrozen: Bool {
        if let v2 = layout.unified, let text = try? Files.text(path(in: v2) + "/cgroup.freeze") {
            return text.trimmingSpaces == "1"
        }
        guard let v1 = layout.hierarchy(for: "freezer") else { return false }
        return (try? Files.text(path(in: v1) + "/freezer.self_freezing").trimmingSpaces) == "1"
    }

    /// Every process in the cgroups, of any hierarchy.
    public func processes() -> Set<pid_t> {
        var result: Set<pid_t> = []
        for hierarchy in layout.hierarchies {
            for directory in Self.subtree(path(in: hierarchy)) {
                let text = (try? Files.text(directory + "/cgroup.procs")) ?? ""
                result.formUnion(text.split(separator: "\n").compactMap { pid_t($0) }.filter { $0 > 0 })
            }
        }
        return result
    }

    /// Kills every process in the cgroups, thawing them so that they can die.
    public func kill() {
        if let v2 = layout.unified { try? Files.poke(path(in: v2) + "/cgroup.kill", "1") }
        for pid in processes() { _ = Glibc.kill(pid, SIGKILL) }
        thaw()
    }

    /// Kills every process, waits until they have gone, and removes the cgroups. What is not there is fine.
    public func destroy() async throws {
        var attempt = 0
        while true {
            attempt += 1
            kill()
            let left = processes()
            if left.isEmpty {
                do {
                    return try remove()
                } catch let error as SystemError where error.errno == EBUSY && attempt < 1000 {
                    // The kernel lets go of a cgroup a moment after its last process; or somebody has just joined.
                    try await Task.sleep(for: .milliseconds(5))
                    continue
                }
            }
            guard attempt < 1000 else {
                throw SystemError(
                    call: "kill", errno: EBUSY, context: "end the processes \(left.sorted()) of \(name)")
            }
            // A pidfd tells the end of one; those it forked meanwhile are seen on the next round.
            for pid in left { _ = try? await ProcessDescriptor(pid: pid).waitForEnd(milliseconds: 5000) }
        }
    }

    /// Removes the cgroups, which must hold no process any more. The daemon's own goes with its last
    /// container.
    public func remove() throws {
        var failure: (any Error)?
        for hierarchy in layout.hierarchies {
            for directory in Self.subtree(path(in: hierarchy)).reversed()
            where rmdir(directory) != 0 && errno != ENOENT {
                failure = failure ?? SystemError("rmdir", "remove the cgroup \(directory)")
            }
            if let parent = name.split(separator: "/").first { _ = rmdir(hierarchy.path + "/" + parent) }
        }
        if let failure { throw failure }
    }

    /// Removes cgroups whose last process has just ended: the kernel may take a moment to let go of them.
    func removeSoon() throws {
        for _ in 0..<200 {
            do {
                return try remove()
            } catch let error as SystemError where error.errno == EBUSY {
                kill()
                _ = poll(nil, 0, 5)
            }
        }
        try remove()
    }

    private func thaw() {
        if let v2 = layout.unified { try? Files.poke(path(in: v2) + "/cgroup.freeze", "0") }
        if let v1 = layout.hierarchy(for: "freezer") {
            try? Files.poke(path(in: v1) + "/freezer.state", "THAWED")
        }
    }

    /// A cgroup and all below it, parents first.
    static func subtree(_ directory: String) -> [String] {
        guard let below = try? Files.directories(in: directory) else { return [] }
        return [directory] + below.sorted().flatMap { subtree(directory + "/" + $0) }
    }

    /// Waits until an events file has a line; the kernel announces its changes by POLLPRI.
    private func awaitEvent(_ file: String, _ line: String) async throws {
        let events = try FileDescriptor.open(file, O_RDONLY)
        for _ in 0..<500 {
            let text = String(decoding: try events.readFromStart(), as: UTF8.self)
            if text.split(separator: "\n").contains(Substring(line)) { return }
            try await events.exceptional(milliseconds: 20)
        }
        throw SystemError(
            call: "poll", errno: ETIMEDOUT, context: "freeze \(name): a process does not stand still")
    }
}
