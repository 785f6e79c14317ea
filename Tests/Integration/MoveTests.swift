import Foundation
import Glibc
import Testing

extension Integration {
    /// Containers go from one daemon to another while they run.
    @Suite struct Moves {
        static let rounds = ProcessInfo.processInfo.environment["APUS_TEST_MOVES"].flatMap { Int($0) } ?? 6

        @Test(arguments: [TestImage.busybox, .debian12])
        func aRunningContainerGoesThereAndBack(image: TestImage) throws {
            try HostPair.with("move-\(image.rawValue)") { hosts in
                let name = Integration.freshName()
                try hosts.one.launch(image, name)
                let guest = try Guest.start(in: name, of: image, on: hosts.one)
                let health = try hosts.one.settle(image, name)
                var last = try guest.verify()
                var home = hosts.one
                for round in 1...Self.rounds {
                    let target = hosts.other(home)
                    let said = try home.apus("move", name, "\(hosts.remote(of: target)):").text
                    #expect(said.contains("\(name) is on \(hosts.remote(of: target)): downtime "), "\(said)")
                    #expect(try home.status(of: name) == nil, "round \(round): it is still on the source")
                    #expect(try hosts.home(of: name) === target)
                    expectOnlyDaemon(on: home, "round \(round)")
                    home = target
                    let now = try Guest(name: name, host: home, folder: guest.folder).verify("round \(round)")
                    #expect(now.id == last.id, "round \(round): it is another process")
                    #expect(now.tick > last.tick)
                    last = now
                    if image.hasSystemd {
                        #expect(try home.settle(image, name) == health)
                        try home.exec(name, "systemd-run", "--quiet", "--wait", "true")
                    }
                    #expect(home.state.frozen == [])
                }
                try home.apus("delete", name, "--force")
            }
        }

        @Test func aRunningContainerGoesThereAndBackBeforeItsMemory() throws {
            try HostPair.with("post-copy") { hosts in
                let name = Integration.freshName()
                try hosts.one.launch(.busybox, name)
                let guest = try Guest.start(in: name, of: .busybox, on: hosts.one)
                var last = try guest.verify()
                try hosts.one.apus("config", "set", name, "migration.postcopy", "false")
                let forbidden = try hosts.one.apus(
                    "move", name, "two:", "--memory", "post-copy", expecting: 1)
                #expect(forbidden.complaint.contains("migration.postcopy"), "\(forbidden)")
                let unknown = try hosts.one.apus("move", name, "two:", "--memory", "pre-copy", expecting: 1)
                #expect(unknown.complaint.contains("pre-copy"), "\(unknown)")
                try hosts.one.apus("config", "unset", name, "migration.postcopy")
                var home = hosts.one
                for round in 1...2 {
                    let target = hosts.other(home)
                    try home.apus(
                        "move", name, "\(hosts.remote(of: target)):", "--memory", "post-copy")
                    #expect(try hosts.home(of: name) === target)
                    expectOnlyDaemon(on: home, "round \(round)")
                    home = target
                    let now = try Guest(name: name, host: home, folder: guest.folder).verify("round \(round)")
                    #expect(now.id == last.id, "round \(round): it is another process")
                    #expect(now.tick > last.tick)
                    last = now
                }
                try home.apus("delete", name, "--force")
            }
        }

        @Test func statefulSnapshotsMoveAlong() throws {
            try HostPair.with("stateful-snapshots") { hosts in
                let name = Integration.freshName()
                try hosts.one.launch(.busybox, name)
                let guest = try Guest.start(in: name, of: .busybox, on: hosts.one)
                let first = try guest.verify()
                try hosts.one.apus("snapshot", name, "plain")
                try hosts.one.apus("snapshot", name, "whole", "--stateful")
                let path = "/1.0/containers/\(name)/snapshots/"
                let size = try hosts.one.query(path + "whole")["apus_state_size"].int
                #expect(size ?? 0 > 0)
                try hosts.one.apus("move", name, "two:")
                #expect(try hosts.two.query(path + "plain")["stateful"].bool == false)
                #expect(try hosts.two.query(path + "whole")["stateful"].bool == true)
                #expect(try hosts.two.query(path + "whole")["apus_state_size"].int == size)
                #expect(names(in: hosts.one.folder + "/checkpoints").isEmpty)
                try hosts.two.apus("restore", name, "whole")
                let there = Guest(name: name, host: hosts.two, folder: guest.folder)
                let now = try there.verify("restored on the other host")
                #expect(now.id == first.id, "it is another process")
                try hosts.two.apus("delete", name, "--force")
            }
        }

        /// Whenever one of the two dies, there is one container, or it is stopped at the sink, which has said so.
        @Test(arguments: ["source", "sink"])
        func aDaemonIsKilledWhileMemoryIsComing(victim: String) throws {
            try HostPair.with("post-copy-\(victim)") { hosts in
                let killed = victim == "source" ? hosts.one : hosts.two
                for round in 0..<6 {
                    let name = Integration.freshName()
                    try hosts.one.launch(.busybox, name)
                    let guest = try Guest.start(in: name, of: .busybox, on: hosts.one)
                    let before = try guest.verify()
                    // Enough for its coming to have a middle.
                    try hosts.one.exec(
                        name, "sh", "-c", "/usr/bin/guest fill 256 </dev/null >/dev/null 2>&1 &")
                    let command = try hosts.one.begin("move", name, "two:", "--memory", "post-copy")
                    usleep(useconds_t(round * 300_000 + Int.random(in: 0..<300_000)))
                    try killed.killDaemon()
                    // The source may have to ask the sink what became of it.
                    try killed.startDaemon()
                    let outcome = try command.wait(limit: .seconds(90))
                    let when = "round \(round): \(outcome)"
                    try eventually("both hosts to be done with the move", limit: .seconds(30)) {
                        try hosts.all.allSatisfy { try $0.query("/1.0/operations")["running"].array.isEmpty }
                    }
                    let states = try hosts.all.map { try $0.status(of: name) }
                    if let index = states.firstIndex(of: "Running") {
                        let home = hosts.all[index]
                        #expect(states.filter { $0 == "Running" }.count == 1, "\(when)")
                        let now = try Guest(name: name, host: home, folder: guest.folder).verify(when)
                        #expect(now.id == before.id, "\(when)")
                    } else {
                        #expect(states[1] == "Stopped", "\(when)")
                        let log = try String(contentsOfFile: hosts.two.log, encoding: .utf8)
                        #expect(log.contains("its processes are lost"), "\(when)")
                    }
                    for host in hosts.all where try host.status(of: name) != nil {
                        try host.apus("delete", name, "--force")
                    }
                    for host in hosts.all { expectOnlyDaemon(on: host, when) }
                }
            }
        }

        @Test(arguments: ["pull", "push", "relay"])
        func allThreeWays(mode: String) throws {
            try HostPair.with("ways-\(mode)") { hosts in
                let name = Integration.freshName()
                try hosts.one.launch(.busybox, name)
                let guest = try Guest.start(in: name, of: .busybox, on: hosts.one)
                let before = try guest.verify()
                try hosts.one.apus("move", name, "two:", "--mode", mode)
                let after = try Guest(name: name, host: hosts.two, folder: guest.folder).verify(mode)
                #expect(after.id == before.id)
                // Without its processes, and as another one.
                try hosts.two.apus("copy", name, "one:\(name)-copy", "--mode", mode)
                #expect(try hosts.two.status(of: name) == "Running")
                #expect(try hosts.one.status(of: "\(name)-copy") == "Stopped")
                try hosts.one.apus("start", "\(name)-copy")
                let copy = try Guest.start(in: "\(name)-copy", of: .busybox, on: hosts.one).verify()
                #expect(copy.id != before.id)
            }
        }

        @Test func snapshotsAndConfigurationGoToo() throws {
            try HostPair.with("snapshots") { hosts in
                let name = Integration.freshName()
                try hosts.one.launch(.busybox, name, "-c", "user.note=mine", "-c", "limits.memory=512MiB")
                try hosts.one.exec(name, "sh", "-c", "echo early > /root/note")
                try hosts.one.apus("snapshot", name, "early")
                try hosts.one.exec(name, "sh", "-c", "echo late > /root/note")
                try hosts.one.apus("move", name, "two:other")
                #expect(try hosts.one.status(of: name) == nil)
                #expect(try hosts.two.exec("other", "cat", "/root/note") == "late")
                #expect(try hosts.two.apus("config", "get", "other", "user.note").text == "mine")
                try hosts.two.apus("restore", "other", "early")
                try eventually("it to run") { try hosts.two.status(of: "other") == "Running" }
                #expect(try hosts.two.exec("other", "cat", "/root/note") == "early")
            }
        }

        @Test func whatCannotGoIsRefusedAndRunsOn() throws {
            try HostPair.with("refusals") { hosts in
                let name = Integration.freshName()
                try hosts.one.launch(.busybox, name)
                let guest = try Guest.start(in: name, of: .busybox, on: hosts.one)
                let before = try guest.verify()

                try hosts.two.launch(.busybox, "taken")
                let taken = try hosts.one.apus("move", name, "two:taken", expecting: 1)
                #expect(taken.complaint.contains("already exists"), "\(taken)")

                try hosts.one.apus("profile", "create", "special")
                try hosts.one.apus("profile", "add", name, "special")
                let profile = try hosts.one.apus("move", name, "two:", expecting: 1)
                #expect(profile.complaint.contains("special"), "\(profile)")
                try hosts.one.apus("profile", "remove", name, "special")

                let nobody = try hosts.one.apus("move", name, "three:", expecting: 1)
                #expect(nobody.complaint.contains("three"), "\(nobody)")

                #expect(try hosts.home(of: name) === hosts.one)
                let after = try guest.verify()
                #expect(after.id == before.id)
                #expect(try hosts.two.query("/1.0/containers").array.count == 1)
                // After all that, it goes.
                try hosts.one.apus("move", name, "two:")
                #expect(try hosts.home(of: name) === hosts.two)
            }
        }

        /// Who is killed in the middle of a move.
        enum Victim: String, CaseIterable, CustomTestStringConvertible {
            case source, sink, criu
            var testDescription: String { rawValue }
        }

        @Test(arguments: Victim.allCases)
        func killedInTheMiddle(victim: Victim) throws {
            try interrupted("kill-\(victim)", rounds: Self.rounds, later: 90_000) {
                hosts, source, target, _ in
                guard victim != .criu else {
                    for host in hosts.all { killCRIU(of: host) }
                    return {}
                }
                let killed = victim == .sink ? target : source
                try killed.killDaemon()
                return { try killed.startDaemon() }
            }
        }

        @Test func theNetworkIsCutInTheMiddle() throws {
            try interrupted("cut", rounds: 3, later: 150_000) { hosts, source, _, name in
                let cut = try NetworkCut(hosts.all)
                // Unless it was just being handed over, the source goes on by itself: silence is noticed.
                try? eventually("the source to let it run", limit: .seconds(15)) {
                    try hosts.home(of: name) === source
                        && source.query("/1.0/operations")["running"].array.isEmpty
                }
                cut.mend()
                return {}
            }
        }

        @Test func trustEndsInTheMiddle() throws {
            try interrupted("distrust", rounds: 3, later: 200_000) { hosts, source, target, _ in
                let trusted = try target.query("/1.0/certificates?recursion=1").array
                let fingerprint = try #require(trusted.first?["fingerprint"].string)
                try target.apus("config", "trust", "remove", fingerprint)
                return {
                    let remote = hosts.remote(of: target)
                    let refused = try source.apus("list", "\(remote):", expecting: 1)
                    #expect(refused.complaint.contains("trust"), "\(refused)")
                    try source.apus("remote", "remove", remote)
                    try hosts.acquaint(source, with: target, as: remote)
                }
            }
        }

        /// Moves a container to and fro, and meddles with that, each time a little later. Whatever comes of the move, there
        /// is one container afterwards, whole, and it can move again.
        /// - Parameters:
        ///   - later: by how much, in microseconds.
        ///   - meddle: does so, given the source, the sink and the container's name; what it returns is done once the command
        ///     has ended.
        private func interrupted(
            _ label: String, rounds: Int, later: Int,
            by meddle: (HostPair, TestHost, TestHost, String) throws -> () throws -> Void
        ) throws {
            try HostPair.with(label) { hosts in
                let name = Integration.freshName()
                try hosts.one.launch(.busybox, name)
                let guest = try Guest.start(in: name, of: .busybox, on: hosts.one)
                var last = try guest.verify()
                var home = hosts.one
                for round in 0..<rounds {
                    let target = hosts.other(home)
                    // With post-copy a container may be lost, which is said where it is asked for.
                    let command = try home.begin(
                        "move", name, "\(hosts.remote(of: target)):", "--memory", "stop-copy")
                    usleep(useconds_t(round * later + Int.random(in: 0..<later)))
                    let mend = try meddle(hosts, home, target, name)
                    let outcome = try command.wait(limit: .seconds(90))
                    try mend()
                    let when = "\(label), round \(round): \(outcome)"
                    // The two daemons may have to ask each other first.
                    home = try hosts.settledHome(of: name, when)
                    last = try expectOneAndWhole(guest, last, at: home, of: hosts, when)
                }
                try home.apus("move", name, "\(hosts.remote(of: hosts.other(home))):")
            }
        }

        /// The one container goes on as it was; what is left on the other host is at most its stopped and named self.
        private func expectOneAndWhole(
            _ guest: Guest, _ last: Guest.Report, at home: TestHost, of hosts: HostPair, _ when: String
        ) throws -> Guest.Report {
            let now = try Guest(name: guest.name, host: home, folder: guest.folder).verify(when)
            #expect(now.id == last.id, "\(when)")
            #expect(now.tick >= last.tick, "\(when)")
            let rest = hosts.other(home)
            if try rest.status(of: guest.name) != nil { try rest.apus("delete", guest.name, "--force") }
            expectOnlyDaemon(on: rest, when)
            #expect(home.state.frozen == [], "\(when)")
            return now
        }

        private func killCRIU(of host: TestHost) {
            for (pid, program) in host.state.processes
            where program.hasPrefix("criu") || program.hasPrefix("ld-linux") {
                kill(pid, SIGKILL)
            }
        }

        /// Nothing of a container is left on a host.
        private func expectOnlyDaemon(
            on host: TestHost, _ when: String, sourceLocation: SourceLocation = #_sourceLocation
        ) {
            func rest() -> [String] {
                host.state.leftovers.filter {
                    !$0.contains("apusd") && !$0.hasSuffix("/apus-\(host.id ?? "")")
                }
            }
            try? eventually("\(host.folder) to be clean", limit: .seconds(10)) { rest().isEmpty }
            #expect(rest() == [], "\(when)", sourceLocation: sourceLocation)
            #expect(
                names(in: "/dev/shm/apus-\(host.id ?? "")") == [], "\(when)", sourceLocation: sourceLocation)
        }
    }
}
