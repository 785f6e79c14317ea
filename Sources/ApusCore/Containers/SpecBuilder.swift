import ContainerRuntime
import LinuxSystem

/// Turns a container's configuration into what the runtime has to know.
enum SpecBuilder {
    /// - Parameter generation: containers that may have some processors, whichever, begin to count at different ones.
    static func limits(
        _ config: [String: String], generation: Int64, processors: Int, memory: Int64
    ) -> ResourceLimits {
        var limits = ResourceLimits()
        if let text = config["limits.cpu"], let cpus = ConfigValues.cpus(text, online: 1 << 16) {
            switch cpus {
            case .count(let count) where count < processors:
                let chosen = (0..<count).map { (Int(generation) + $0) % processors }.sorted()
                limits.cpus = chosen.map(String.init).joined(separator: ",")
            case .count: break
            case .set(let set):
                let usable = set.filter { $0 < processors }
                if !usable.isEmpty { limits.cpus = usable.map(String.init).joined(separator: ",") }
            }
        }
        var share: Int64 = 100
        if let text = config["limits.cpu.allowance"], let allowance = ConfigValues.allowance(text) {
            switch allowance {
            case .share(let percent): share = percent
            case .quota(let quota, let period):
                limits.cpuQuota = ResourceLimits.CPUQuota(quota: Int(quota), period: Int(period))
            }
        }
        // Priority 10 (the default) leaves the share as it is, each step below takes one percent off.
        if let priority = config["limits.cpu.priority"].flatMap({ Int64($0) }) { share -= 10 - priority }
        if share != 100 { limits.cpuShare = Int(max(1, share)) }
        limits.memory = config["limits.memory"].flatMap { ConfigValues.memory($0, total: memory) }
        limits.swap = ConfigValues.isTrue(config, "limits.memory.swap", default: true)
        limits.memoryIsSoft = config["limits.memory.enforce"] == "soft"
        limits.swapPriority = config["limits.memory.swap.priority"].flatMap { Int($0) }
        limits.diskPriority = config["limits.disk.priority"].flatMap { Int($0) }
        limits.processes = config["limits.processes"].flatMap { Int($0) }
        return limits
    }

    static func kernelLimits(_ config: [String: String]) -> [KernelLimit] {
        KernelLimit.resources.compactMap { name, _ in
            config[KernelLimit.key(name)].flatMap { KernelLimit(name: name, $0) }
        }
    }

    static func seccomp(_ config: [String: String]) -> SeccompPolicy {
        var policy = SeccompPolicy()
        policy.usesDefaultDenyList = ConfigValues.isTrue(
            config, "security.syscalls.deny_default",
            default: ConfigValues.isTrue(config, "security.syscalls.blacklist_default", default: true))
        policy.denied = ["security.syscalls.deny", "security.syscalls.blacklist"].flatMap { key in
            (config[key] ?? "").split(whereSeparator: { $0.isNewline || $0 == "," || $0 == " " }).map(
                String.init)
        }
        return policy
    }

    static func environment(_ config: [String: String]) -> [String: String] {
        let prefix = "environment."
        return Dictionary(
            uniqueKeysWithValues: config.filter { $0.key.hasPrefix(prefix) }
                .map { (String($0.key.dropFirst(prefix.count)), $0.value) })
    }
}
