import Foundation
import Testing

extension Integration {
    /// Limits, measured: what happens inside, and what the kernel counted.
    @Suite struct Limits {
        /// A file of the container's outermost cgroup that has a word in it: of whichever hierarchy has the controller.
        private func file(_ host: TestHost, _ container: String, _ name: String, with word: String = "")
            -> String?
        {
            host.state.cgroups.filter { $0.split(separator: "/").last?.hasPrefix("\(container).") == true }
                .map { "\($0)/\(name)" }.first {
                    FileManager.default.fileExists(atPath: $0)
                        && (word.isEmpty || text(of: $0).contains(word))
                }
        }

        private func numbers(_ path: String) -> [String: Int] {
            var result: [String: Int] = [:]
            for line in text(of: path).split(separator: "\n") {
                let fields = line.split(separator: " ")
                if fields.count == 2, let value = Int(fields[1]) { result[String(fields[0])] = value }
            }
            return result
        }

        @Test func aProcessIsKilledAtTheMemoryLimit() throws {
            try withContainer(.busybox) { host, name in
                let greedy = ["exec", name, "--", "dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"]
                try host.apus(greedy)
                // While it runs, by a profile and by its own key.
                let profile = "limit-\(name)"
                try host.apus("profile", "create", profile)
                try host.apus("profile", "add", name, profile)
                try host.apus("profile", "set", profile, "limits.memory=128MiB", "limits.memory.swap=false")
                #expect(try host.apus(greedy, expecting: nil).code == 137)
                try host.apus("config", "set", name, "limits.memory=512MiB")
                try host.apus(greedy)
                try host.apus("config", "unset", name, "limits.memory")
                #expect(try host.apus(greedy, expecting: nil).code == 137)
                #expect(try host.exec(name, "echo", "alive") == "alive")
                try host.apus("profile", "remove", name, profile)
                try host.apus(greedy)
                try host.apus("profile", "delete", profile)
            }
        }

        @Test func processorTimeIsWhatTheQuotaAllows() throws {
            try withContainer(.busybox, "-c", "limits.cpu.allowance=10ms/100ms") { host, name in
                let spinning = try host.begin("exec", name, "--", "sh", "-c", "while true; do true; done")
                defer { spinning.signal(SIGKILL) }
                let path = try #require(file(host, name, "cpu.stat", with: "nr_throttled"))
                try eventually("\(name) to be held back", limit: .seconds(60)) {
                    numbers(path)["nr_throttled"] ?? 0 >= 10
                }
                let statistics = numbers(path)
                let used: Int
                if let microseconds = statistics["usage_usec"] {
                    used = microseconds
                } else {
                    let usage = try #require(file(host, name, "cpuacct.usage"))
                    used = (Int(text(of: usage).trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0) / 1000
                }
                // Every period gives ten milliseconds to each of its processors at most a slice more.
                let periods = statistics["nr_periods"] ?? 0
                #expect(used <= periods * 10_000 * 2 + 200_000, "\(used) µs in \(periods) periods")
                try host.apus("config", "set", name, "limits.cpu.allowance=100%")
                let before = numbers(path)["nr_throttled"] ?? 0
                try host.exec(name, "sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
                #expect((numbers(path)["nr_throttled"] ?? 0) <= before + 2)
            }
        }

        @Test func processesAndProcessorsAreLimitedAtOnce() throws {
            try withContainer(.busybox) { host, name in
                try host.apus("config", "set", name, "limits.cpu=1")
                let cpus = try host.exec(name, "sh", "-c", "cat /proc/self/status")
                let allowed = cpus.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") } ?? ""
                #expect(!allowed.contains("-") && !allowed.contains(","), "\(allowed)")
                try host.apus("config", "set", name, "limits.processes=12")
                let forks = try host.apus(
                    "exec", name, "--", "sh", "-c", "i=0; while [ $i -lt 30 ]; do sleep 5 & i=$((i+1)); done",
                    expecting: nil)
                #expect(forks.errors.isEmpty == false || forks.code != 0, "thirty processes fit into twelve")
            }
        }

        @Test func limitsOfTheKernelHoldForInitAndForWhatIsExecuted() throws {
            // Less than the daemon itself has: not every root may go beyond that.
            let options = ["limits.kernel.nofile=300:400", "limits.kernel.memlock=4194304"]
            try withContainer(.busybox, "-c", options[0], "-c", options[1]) { host, name in
                let guest = try Guest.start(in: name, of: .busybox, on: host)
                let first = try guest.verify()
                func check(_ files: String) throws {
                    for process in ["1", "self"] {
                        let limits = try host.exec(name, "cat", "/proc/\(process)/limits")
                        let words = limits.split(separator: "\n").map { $0.split(separator: " ") }
                        func numbers(_ name: String) -> [Substring] {
                            words.first { $0.starts(with: ["Max"] + name.split(separator: " ")) }?.dropFirst(
                                3
                            )
                            .prefix(2).map { $0 } ?? []
                        }
                        #expect(numbers("open files") == files.split(separator: ":"), "\(process): \(limits)")
                        #expect(numbers("locked memory") == ["4194304", "4194304"], "\(process)")
                    }
                }
                try check("300:400")
                try host.apus("snapshot", name, "s", "--stateful")
                try host.apus("restore", name, "s")
                #expect(try guest.verify().id == first.id)
                try check("300:400")
                // From the next start on.
                try host.apus("config", "set", name, "limits.kernel.nofile", "500")
                try host.apus("restart", name, "--force")
                try check("500:500")
            }
        }

        @Test func fiftyContainersComeAndGo() throws {
            let host = try Integration.host
            let image = try host.image(.busybox)
            let prefix = Integration.freshName("fifty")
            try expectNothingLeft(on: host, of: prefix) {
                let all = (1...50).map { "\(prefix)-\($0)" }
                do {
                    for name in all { try host.apus("init", image, name) }
                    try host.apus(["start"] + all, limit: .seconds(120))
                    let rows = try host.apus("list", prefix, "--format", "csv", "-c", "ns").text
                    #expect(rows.components(separatedBy: "RUNNING").count == 51)
                    try host.apus(["stop", "--force"] + all, limit: .seconds(120))
                    try host.apus(["delete"] + all, limit: .seconds(120))
                } catch {
                    _ = try? host.apus(["delete", "--force"] + all, expecting: nil, limit: .seconds(120))
                    throw error
                }
            }
        }
    }
}
