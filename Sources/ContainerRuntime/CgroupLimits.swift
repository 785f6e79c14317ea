import Glibc
import LinuxSystem

extension ContainerCgroup {
    /// Sets the limits; those that are nil are lifted. May be called again while the container runs.
    /// Throws where the host has no controller for a limit that is asked for.
    /// - Parameter isFresh: the cgroups have just been made, and nobody has set anything: only limits there are get
    ///   written. A start waits for each file.
    public func applyLimits(_ limits: ResourceLimits, isFresh: Bool = false) throws {
        if !isFresh || limits.cpus != nil { try applyCPUs(limits) }
        if !isFresh || limits.cpuQuota != nil || limits.cpuShare != nil { try applyCPUTime(limits) }
        try applyMemory(limits, isFresh: isFresh)
        if !isFresh || limits.processes != nil { try applyProcesses(limits) }
        try applyDiskPriority(limits, isFresh: isFresh)
    }

    private func directory(_ controller: String) -> (path: String, isV2: Bool)? {
        layout.hierarchy(for: controller).map { (path(in: $0), $0.isV2) }
    }

    private func missing(_ controller: String, _ what: String) -> SystemError {
        SystemError(
            call: "cgroup", errno: ENOTSUP,
            context: "limit the \(what) of \(name): this host has no \(controller) cgroup controller")
    }

    private func applyCPUs(_ limits: ResourceLimits) throws {
        guard let cpuset = directory("cpuset") else {
            if limits.cpus != nil { throw missing("cpuset", "CPUs") }
            return
        }
        if cpuset.isV2 {
            try Files.poke(cpuset.path + "/cpuset.cpus", (limits.cpus ?? "") + "\n")
            return
        }
        let all = try layout.hierarchy(for: "cpuset").map {
            try Files.text($0.path + "/cpuset.cpus").trimmingSpaces
        }
        let wanted = limits.cpus ?? all ?? ""
        let tree = Self.subtree(cpuset.path)
        // In v1 a child may never have more than its parent: widen from the top, narrow from the bottom.
        for each in tree { _ = try? Files.poke(each + "/cpuset.cpus", wanted) }
        for each in tree.reversed() { try Files.poke(each + "/cpuset.cpus", wanted) }
    }

    private func applyCPUTime(_ limits: ResourceLimits) throws {
        guard let cpu = directory("cpu") else {
            if limits.cpuQuota != nil || limits.cpuShare != nil { throw missing("cpu", "CPU time") }
            return
        }
        let share = min(max(limits.cpuShare ?? 100, 1), 1000)
        if cpu.isV2 {
            let quota = limits.cpuQuota.map { "\($0.quota) \($0.period)" } ?? "max 100000"
            try Files.poke(cpu.path + "/cpu.max", quota)
            try Files.poke(cpu.path + "/cpu.weight", "\(share)")
        } else {
            if let quota = limits.cpuQuota {
                try Files.poke(cpu.path + "/cpu.cfs_period_us", "\(quota.period)")
                try Files.poke(cpu.path + "/cpu.cfs_quota_us", "\(quota.quota)")
            } else if Files.exists(cpu.path + "/cpu.cfs_quota_us") {
                try Files.poke(cpu.path + "/cpu.cfs_quota_us", "-1")
            }
            try Files.poke(cpu.path + "/cpu.shares", "\(max(2, share * 1024 / 100))")
        }
    }

    private func applyProcesses(_ limits: ResourceLimits) throws {
        guard let pids = directory("pids") else {
            if limits.processes != nil { throw missing("pids", "number of processes") }
            return
        }
        try Files.poke(pids.path + "/pids.max", limits.processes.map(String.init) ?? "max")
    }

    private func applyMemory(_ limits: ResourceLimits, isFresh: Bool) throws {
        guard let memory = directory("memory") else {
            if limits.memory != nil { throw missing("memory", "memory") }
            return
        }
        if isFresh, limits.memory == nil {
            return try applySwap(limits, memory)
        }
        let amount = limits.memory.map(String.init)
        let (hard, soft) = limits.memoryIsSoft ? (nil, amount) : (amount, nil)
        if memory.isV2 {
            try Files.poke(memory.path + "/memory.max", hard ?? "max")
            try Files.poke(memory.path + "/memory.high", soft ?? "max")
            try applySwap(limits, memory)
        } else {
            let both = memory.path + "/memory.memsw.limit_in_bytes"
            // The limit of memory and swap together may never be below that of memory.
            if Files.exists(both) { _ = try? Files.poke(both, "-1") }
            do {
                try Files.poke(memory.path + "/memory.limit_in_bytes", hard ?? "-1")
            } catch let error as SystemError where error.errno == EBUSY {
                let used = number(memory.path + "/memory.usage_in_bytes") ?? 0
                throw SystemError(
                    call: "write", errno: EBUSY,
                    context:
                        "limit the memory of \(name) to \(hard ?? "") bytes: it uses \(used) and the kernel "
                        + "cannot take that away while it runs. End some of its processes, or restart it")
            }
            try Files.poke(memory.path + "/memory.soft_limit_in_bytes", soft ?? "-1")
            try applySwap(limits, memory)
            if !limits.swap, let hard, Files.exists(both) { try Files.poke(both, hard) }
        }
    }

    /// Whether memory is swapped out, and how readily. A v1 cgroup begins with what the one above has.
    private func applySwap(_ limits: ResourceLimits, _ memory: (path: String, isV2: Bool)) throws {
        if memory.isV2 {
            guard Files.exists(memory.path + "/memory.swap.max") else { return }
            try Files.poke(memory.path + "/memory.swap.max", limits.swap ? "max" : "0")
        } else {
            // 60 is what the kernel begins with.
            let swappiness = limits.swap ? 60 - min(max(limits.swapPriority ?? 0, 0), 10) : 0
            try Files.poke(memory.path + "/memory.swappiness", "\(swappiness)")
        }
    }

    private func applyDiskPriority(_ limits: ResourceLimits, isFresh: Bool) throws {
        let weight = max(10, min(max(limits.diskPriority ?? 5, 0), 10) * 100)
        // The last is what the kernel begins with.
        let candidates = [
            ("io", "io.weight", 100), ("io", "io.bfq.weight", 100), ("blkio", "blkio.bfq.weight", 100),
            ("blkio", "blkio.weight", 500),
        ]
        for (controller, file, usual) in candidates {
            guard let each = directory(controller), Files.exists(each.path + "/" + file) else { continue }
            // A weight that nobody asked for is put back, where it was ever set.
            let value = limits.diskPriority == nil && file.hasPrefix("io") ? 100 : weight
            if !(isFresh && value == usual) { try Files.poke(each.path + "/" + file, "\(value)") }
            return
        }
        if limits.diskPriority != nil { throw missing("io", "disk priority") }
    }

    /// What the container uses now. What the host does not count is nil.
    public func statistics() -> CgroupStatistics {
        var result = CgroupStatistics()
        if let memory = directory("memory") {
            let v2 = memory.isV2
            result.memory = number(memory.path + (v2 ? "/memory.current" : "/memory.usage_in_bytes"))
            result.memoryPeak = number(memory.path + (v2 ? "/memory.peak" : "/memory.max_usage_in_bytes"))
            if v2 {
                result.swap = number(memory.path + "/memory.swap.current")
                result.swapPeak = number(memory.path + "/memory.swap.peak")
            } else if let both = number(memory.path + "/memory.memsw.usage_in_bytes"),
                let used = result.memory
            {
                result.swap = max(0, both - used)
            }
        }
        if let cpuacct = directory("cpuacct") {
            result.cpuNanoseconds = number(cpuacct.path + "/cpuacct.usage")
        } else if let v2 = layout.unified, let text = try? Files.text(path(in: v2) + "/cpu.stat") {
            for line in text.split(separator: "\n") where line.hasPrefix("usage_usec ") {
                result.cpuNanoseconds = Int64(line.dropFirst(11)).map { $0 * 1000 }
            }
        }
        if let pids = directory("pids") { result.processes = number(pids.path + "/pids.current") }
        return result
    }

    private func number(_ file: String) -> Int64? {
        (try? Files.text(file)).flatMap { Int64($0.trimmingSpaces) }
    }
}

/// What a container uses.
public struct CgroupStatistics: Sendable, Hashable {
    /// Bytes of memory, now and at most.
    public var memory: Int64?
    /// The most memory so far.
    public var memoryPeak: Int64?
    /// Bytes of swap.
    public var swap: Int64?
    /// The most swap so far.
    public var swapPeak: Int64?
    /// CPU time.
    public var cpuNanoseconds: Int64?
    /// Tasks, threads included. One is the runtime's own once something was executed by `exec`.
    public var processes: Int64?
}
