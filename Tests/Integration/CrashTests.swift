import Foundation
import Glibc
import Testing

extension Integration {
    /// kill -9 at random points: never a frozen container, never a half one, never harm to the host.
    @Suite struct Crashes {
        static let rounds = ProcessInfo.processInfo.environment["APUS_TEST_CRASHES"].flatMap { Int($0) } ?? 6

        /// The four operations that a crash may interrupt.
        enum Moment: String, CaseIterable, CustomTestStringConvertible {
            case snapshot, restore, stop, start
            var testDescription: String { rawValue }
        }

        @Test(arguments: Moment.allCases)
        func criuIsKilled(moment: Moment) throws {
            try withHost("criu-\(moment)") { host in
                let guest = try prepare(host)
                for round in 0..<Self.rounds {
                    let command = try begin(moment, host)
                    // From the first sign of CRIU on, a little later each round.
                    var killed = false
                    try? eventually("criu to run", limit: .seconds(5)) {
                        !criu(of: host).isEmpty || !command.isRunning
                    }
                    usleep(useconds_t(round % 8 * 17_000 + Int.random(in: 0..<17_000)))
                    for pid in criu(of: host) { killed = kill(pid, SIGKILL) == 0 || killed }
                    let outcome = try command.wait(limit: .seconds(90))
                    #expect(!killed || outcome.code != 0 || round > 0, "\(outcome)")
                    if killed, moment == .snapshot || moment == .restore {
                        try expectRunningOrEnded(host, "\(moment), round \(round): \(outcome)")
                    }
                    try expectSound(host, guest, "\(moment), round \(round): \(outcome)")
                    #expect(criu(of: host).isEmpty)
                }
            }
        }

        @Test(arguments: Moment.allCases)
        func theDaemonIsKilled(moment: Moment) throws {
            try withHost("daemon-\(moment)") { host in
                let guest = try prepare(host)
                for round in 0..<Self.rounds {
                    let command = try begin(moment, host)
                    usleep(useconds_t(round * 60_000 + Int.random(in: 0..<60_000)))
                    try host.killDaemon()
                    _ = try command.wait(limit: .seconds(30))
                    try host.startDaemon()
                    try expectSound(host, guest, "\(moment), round \(round)")
                }
            }
        }

        @Test(arguments: Moment.allCases)
        func theRuntimeIsKilled(moment: Moment) throws {
            try withHost("runtime-\(moment)") { host in
                let guest = try prepare(host)
                for round in 0..<max(2, Self.rounds / 2) {
                    let command = try begin(moment, host)
                    usleep(useconds_t(round * 60_000 + Int.random(in: 0..<60_000)))
                    for pid in runtimes(of: host) { kill(pid, SIGKILL) }
                    _ = try command.wait(limit: .seconds(90))
                    try expectSound(host, guest, "\(moment), round \(round)")
                }
            }
        }

        /// As the kernel does for want of memory. A process of several threads that is killed in CRIU's hands made CRIU
        /// wait for ever.
        @Test func aProcessIsKilledWhileItIsSaved() throws {
            try withHost("killed-process") { host in
                let guest = try prepare(host)
                for round in 0..<(2 * Self.rounds) {
                    // The guest's first process is the one with threads.
                    let victim = try #require(
                        host.state.processes.keys.first {
                            let status = text(of: "/proc/\($0)/status").split(separator: "\n")
                            return status.contains("Name:\tguest")
                                && !status.contains("Threads:\t1") && !status.contains("Threads:\t0")
                        })
                    let command = try begin(.snapshot, host)
                    usleep(useconds_t(60_000 + round * 10_000 + Int.random(in: 0..<20_000)))
                    kill(victim, SIGKILL)
                    _ = try command.wait(limit: .seconds(30))
                    try guest.waitUntilUp()
                    try expectSound(host, guest, "round \(round)")
                }
            }
        }

        @Test func aContainerWhoseRuntimeDiedIsStoppedAndStartsAgain() throws {
            try withHost("runtime-idle") { host in
                let guest = try prepare(host)
                for pid in runtimes(of: host) { kill(pid, SIGKILL) }
                try eventually("the container to be stopped") { try host.status(of: "c1") == "Stopped" }
                try eventually("nothing of it to be left") {
                    host.state.leftovers.allSatisfy { $0.contains("apusd") }
                }
                try host.apus("start", "c1")
                try guest.waitUntilUp()
                try guest.verify()
            }
        }

        @Test func aMoveToAnotherPoolIsCutShort() throws {
            try withHost("pool-move") { host in
                try host.apus("storage", "create", "other", "dir")
                let guest = try prepare(host)
                // Enough to copy that there is a middle to be caught in.
                try host.exec("c1", "dd", "if=/dev/urandom", "of=/big", "bs=1M", "count=100")
                var target = "other"
                for round in 0..<Self.rounds {
                    let when = "round \(round), to \(target)"
                    try host.apus("stop", "c1", "--force")
                    let command = try host.begin("move", "c1", "--storage", target)
                    usleep(useconds_t(round * 60_000 + Int.random(in: 0..<60_000)))
                    try host.killDaemon()
                    _ = try command.wait(limit: .seconds(30))
                    try host.startDaemon()
                    let home = try host.apus("list", "c1", "--format", "csv", "-c", "b").text
                    for pool in ["default", "other"] {
                        let volumes = try host.query("/1.0/storage-pools/\(pool)/volumes?recursion=1").array
                            .compactMap { $0["type"].string == "container" ? $0["name"].string : nil }
                        let expected = pool == home ? ["c1", "c1/base"] : []
                        #expect(volumes.sorted() == expected, "\(when): \(pool), while its home is \(home)")
                    }
                    try expectSound(host, guest, when)
                    target = home == "other" ? "default" : "other"
                }
            }
        }

        // MARK: the pieces

        private func prepare(_ host: TestHost) throws -> Guest {
            try host.launch(.busybox, "c1")
            let guest = try Guest.start(in: "c1", of: .busybox, on: host)
            try host.apus("snapshot", "c1", "base", "--stateful")
            return guest
        }

        private func begin(_ moment: Moment, _ host: TestHost) throws -> Program {
            switch moment {
            case .snapshot:
                return try host.begin("snapshot", "c1", "s\(Int.random(in: 0..<1_000_000))", "--stateful")
            case .restore: return try host.begin("restore", "c1", "base")
            case .stop: return try host.begin("stop", "c1", "--stateful")
            case .start:
                try host.apus("stop", "c1", "--stateful")
                return try host.begin("start", "c1")
            }
        }

        /// A running container whose CRIU was killed runs on. Only if a process was in CRIU's hands in such a way that it
        /// could not be saved is the container ended instead, and then the log says so.
        private func expectRunningOrEnded(_ host: TestHost, _ when: String) throws {
            guard try host.status(of: "c1") == "Stopped" else { return }
            #expect(text(of: host.log).contains("The container was ended, because"), "\(when)")
        }

        /// Running and sound, or stopped and able to start; nothing frozen, nothing left over; able to do it all again.
        private func expectSound(_ host: TestHost, _ guest: Guest, _ when: String) throws {
            try eventually("\(when): the container to be running or stopped", limit: .seconds(30)) {
                let busy = try !host.query("/1.0/operations")["running"].array.isEmpty
                // Running is said of a container until the end of its runtime has been noticed.
                switch try host.status(of: "c1") {
                case "Running": return !busy && runtimes(of: host).count == 1
                case "Stopped": return !busy
                default: return false
                }
            }
            try eventually("\(when): nothing to be frozen") { host.state.frozen.isEmpty }
            if try host.status(of: "c1") == "Stopped" {
                try eventually("\(when): nothing of a stopped container to be left") {
                    host.state.leftovers.allSatisfy { $0.contains("apusd") }
                }
                try host.apus("start", "c1")
                try guest.waitUntilUp()
            }
            try guest.verify(when)
            try? eventually("one life, and no more") { isOneLife(KernelShape(host.state)) }
            let shape = KernelShape(host.state)
            #expect(isOneLife(shape), "\(when): \(shape)")
            // Listed snapshots are whole, the others are gone.
            let listed = try host.query("/1.0/containers/c1/snapshots").array.compactMap {
                $0.string?.split(separator: "/").last.map(String.init)
            }
            let kept = names(in: "\(host.folder)/checkpoints/c1/snapshots")
            #expect(Set(kept) == Set(listed), "\(when): snapshots and checkpoints differ")
            #expect(listed.contains("base"))
            for name in listed where name != "base" { try host.apus("delete", "c1/\(name)") }
            let cgyards = try must(["find", host.folder + "/checkpoints", "-name", ".criu*"]).text
            #expect(cgyards == "", "\(when): CRIU's own mounts are left")
        }

        private func isOneLife(_ shape: KernelShape) -> Bool {
            shape.mounts.count <= 1 && shape.runtimes == 1 && shape.strays.isEmpty
        }

        private func runtimes(of host: TestHost) -> [pid_t] { host.state.runtimes }

        /// Processes of CRIU below the daemon, or below a runtime of it.
        private func criu(of host: TestHost) -> [pid_t] {
            let roots = Set(runtimes(of: host) + [host.daemon?.pid ?? -1])
            return names(in: "/proc").compactMap { pid_t($0) }.filter { pid in
                guard text(of: "/proc/\(pid)/cmdline").contains("swrk") else { return false }
                var above = pid
                for _ in 0..<8 where above > 1 {
                    if roots.contains(above) { return true }
                    above = parent(of: above)
                }
                return false
            }
        }
    }
}
