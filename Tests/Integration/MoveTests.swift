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
            try HostPair.with("kill-\(victim)") { hosts in
                let name = Integration.freshName()
                try hosts.one.launch(.busybox, name)
                let guest = try Guest.start(in: name, of: .busybox, on: hosts.one)
                var last = try guest.verify()
                var home = hosts.one
                for round in 0..<Self.rounds {
                    let target = hosts.other(home)
                    let command = try home.begin("move", name, "\(hosts.remote(of: target)):")
                    usleep(useconds_t(round * 90_000 + Int.random(in: 0..<90_000)))
                    let killed = victim == .sink ? target : home
                    if victim == .criu {
                        for host in hosts.all { killCRIU(of: host) }
                    } else {
                        try killed.killDaemon()
                    }
                    let outcome = try command.wait(limit: .seconds(90))
                    if victim != .criu { try killed.startDaemon() }
                    let when = "\(victim), round \(round): \(outcome)"
                    // The two daemons may have to ask each other first.
                    home = try hosts.settledHome(of: name, when)
                    last = try expectOneAndWhole(guest, last, at: home, of: hosts, when)
                }
                // And it moves still.
                try home.apus("move", name, "\(hosts.remote(of: hosts.other(home))):")
            }
        }

        @Test func theNetworkIsCutInTheMiddle() throws {
            try HostPair.with("cut") { hosts in
                let name = Integration.freshName()
                try hosts.one.launch(.busybox, name)
                let guest = try Guest.start(in: name, of: .busybox, on: hosts.one)
                var last = try guest.verify()
                var home = hosts.one
                for round in 0..<3 {
                    let (source, target) = (home, hosts.other(home))
                    let command = try source.begin("move", name, "\(hosts.remote(of: target)):")
                    usleep(useconds_t(round * 150_000 + Int.random(in: 0..<150_000)))
                    let cut = try NetworkCut(hosts.all)
                    defer { cut.mend() }
                    // Unless it was just being handed over, the source goes on by itself: silence is noticed.
                    try? eventually("one of them to let it run", limit: .seconds(15)) {
                        try hosts.home(of: name) === source
                            && source.query("/1.0/operations")["running"].array.isEmpty
                    }
                    cut.mend()
                    let outcome = try command.wait(limit: .seconds(90))
                    let when = "round \(round): \(outcome)"
                    home = try hosts.settledHome(of: name, when)
                    last = try expectOneAndWhole(guest, last, at: home, of: hosts, when)
                }
                try home.apus("move", name, "\(hosts.remote(of: hosts.other(home))):")
            }
        }

        @Test func trustEndsInTheMiddle() throws {
            try HostPair.with("distrust") { hosts in
                let name = Integration.freshName()
                try hosts.one.launch(.busybox, name)
                let guest = try Guest.start(in: name, of: .busybox, on: hosts.one)
                var last = try guest.verify()
                var home = hosts.one
                for round in 0..<3 {
                    let (source, target) = (home, hosts.other(home))
                    let remote = hosts.remote(of: target)
                    let trusted = try target.query("/1.0/certificates?recursion=1").array
                    let fingerprint = try #require(trusted.first?["fingerprint"].string)
                    let command = try source.begin("move", name, "\(remote):")
                    usleep(useconds_t(round * 200_000 + Int.random(in: 0..<200_000)))
                    try target.apus("config", "trust", "remove", fingerprint)
                    let outcome = try command.wait(limit: .seconds(90))
                    let when = "round \(round): \(outcome)"
                    home = try hosts.settledHome(of: name, when)
                    last = try expectOneAndWhole(guest, last, at: home, of: hosts, when)
                    let refused = try source.apus("list", "\(remote):", expecting: 1)
                    #expect(refused.complaint.contains("trust"), "\(refused)")
                    try source.apus("remote", "remove", remote)
                    try hosts.acquaint(source, with: target, as: remote)
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
