import Foundation
import Glibc
import Testing

extension Integration {
    /// The daemon comes and goes; containers stay.
    @Suite struct Daemon {
        @Test(arguments: [false, true])
        func containersRunOnWithoutIt(killed: Bool) throws {
            try withHost("restart-\(killed)") { host in
                try host.launch(.debian12, "c1")
                try host.launch(.busybox, "c2")
                let guests = [
                    try Guest.start(in: "c1", of: .debian12, on: host),
                    try Guest.start(in: "c2", of: .busybox, on: host),
                ]
                let before = try guests.map { try $0.verify() }
                let kernel = KernelShape(host.state)
                if killed { try host.killDaemon() } else { try host.stopDaemon() }
                try host.startDaemon()
                #expect(try host.status(of: "c1") == "Running")
                #expect(try host.status(of: "c2") == "Running")
                let after = try guests.map { try $0.verify() }
                #expect(before.map(\.id) == after.map(\.id))
                #expect(KernelShape(host.state) == kernel)
                // And they can do what they could before.
                try host.apus("snapshot", "c1", "s", "--stateful")
                try host.apus("restore", "c1", "s")
                #expect(try guests[0].verify().id == before[0].id)
                try host.apus("stop", "c2")
                try host.apus("start", "c2")
                let shown = try host.apus("console", "c1", "--show-log")
                #expect(shown.text.contains("systemd"), "what was printed before the restore")
            }
        }

        @Test func aSavedContainerComesBackAfterARestart() throws {
            try withHost("saved") { host in
                try host.launch(.debian12, "c1")
                let guest = try Guest.start(in: "c1", of: .debian12, on: host)
                let before = try guest.verify()
                try host.apus("stop", "c1", "--stateful")
                #expect(host.state.mounts == [], "a stopped container needs no mount")
                #expect(host.state.cgroups == [])
                try host.stopDaemon()
                // As after a reboot: nothing of it is left in the kernel.
                HostCleaner.clean(folder: host.folder, id: host.id)
                try host.startDaemon()
                #expect(try host.status(of: "c1") == "Stopped")
                try host.apus("start", "c1")
                let after = try guest.verify()
                #expect(after.id == before.id)
                #expect(try host.settle(.debian12, "c1") == "running")
            }
        }

        @Test func afterARebootWhatRanRunsAgain() throws {
            try withHost("reboot") { host in
                try host.launch(.busybox, "ran")
                try host.launch(.busybox, "never", "-c", "boot.autostart=false")
                try host.apus("init", host.image(.busybox), "always", "-c", "boot.autostart=true")
                try host.apus("init", host.image(.busybox), "stopped")
                try host.launch(.busybox, "saved")
                try host.exec("saved", "sh", "-c", "echo kept > /dev/shm/mark")
                try host.apus("stop", "saved", "--stateful")
                try host.reboot()
                for name in ["ran", "always"] {
                    try eventually("\(name) to run") { try host.status(of: name) == "Running" }
                }
                for name in ["never", "stopped", "saved"] {
                    #expect(try host.status(of: name) == "Stopped", "\(name)")
                }
                try host.apus("start", "saved")
                #expect(try host.exec("saved", "cat", "/dev/shm/mark") == "kept")
                // A shutdown stops all; the next daemon of the same boot brings back those that ran, and no other.
                try host.apus("admin", "shutdown", limit: .seconds(120))
                try host.stopDaemon()
                try host.startDaemon()
                for name in ["ran", "always", "saved"] {
                    try eventually("\(name) to run again") { try host.status(of: name) == "Running" }
                }
                for name in ["never", "stopped"] {
                    #expect(try host.status(of: name) == "Stopped", "\(name)")
                }
            }
        }

        @Test func aContainerThatEndedMeanwhileIsSeenAsStopped() throws {
            try withHost("meanwhile") { host in
                try host.launch(.busybox, "c1")
                try host.killDaemon()
                for (pid, program) in host.state.processes where !program.hasPrefix("apus") {
                    kill(pid, SIGKILL)
                }
                try host.startDaemon()
                try eventually("c1 to be seen as stopped") { try host.status(of: "c1") == "Stopped" }
                try eventually("nothing of it to be left") {
                    host.state.leftovers.allSatisfy { $0.contains("apusd") }
                }
                try host.apus("start", "c1")
                try Guest.start(in: "c1", of: .busybox, on: host).verify()
            }
        }

        @Test func theSocketIsForRootAndItsGroup() throws {
            let host = try Integration.host
            let mode = try must(["stat", "-c", "%a %u", host.folder + "/unix.socket"]).text
            #expect(mode == "660 0")
            let id = try must(["stat", "-c", "%a", host.folder + "/apus.db"]).text
            #expect(id.hasSuffix("0"), "the database is open to others: \(id)")
        }

        @Test func aSecondDaemonOnTheSameFolderGivesWay() throws {
            let host = try Integration.host
            let second = try run(
                [host.programs + "/apusd"], environment: ["APUS_DIR": host.folder], limit: .seconds(20))
            #expect(second.code != 0)
            #expect(try host.query("/1.0")["api_version"].string == "1.0")
        }

        @Test func idleItRests() throws {
            let host = try Integration.host
            let pid = try #require(host.daemon?.pid)
            // Let what earlier tests started come to its end.
            try eventually("the daemon to have no operation") {
                try host.query("/1.0/operations")["running"].array.isEmpty
            }
            let before = cpuTicks(of: pid)
            sleep(3)
            #expect(cpuTicks(of: pid) - before <= 3, "more than 1 % of a processor")
        }

        private func cpuTicks(of pid: pid_t) -> Int {
            let fields = text(of: "/proc/\(pid)/stat").split(separator: " ")
            return fields.count > 14 ? (Int(fields[13]) ?? 0) + (Int(fields[14]) ?? 0) : 0
        }
    }
}

/// A host of its own for tests that end the daemon; gone afterwards, with everything on it.
func withHost(
    _ name: String, sourceLocation: SourceLocation = #_sourceLocation, _ body: (TestHost) throws -> Void
) throws {
    let host = try TestHost(name)
    var id: String?
    do {
        defer { host.tearDown() }
        id = host.id
        do {
            try body(host)
        } catch {
            throw Trouble("\(error)\n--- apusd: \(text(of: host.log).suffix(4000))")
        }
        host.deleteContainers()
        try? eventually("nothing to be left") { host.state.leftovers.allSatisfy { $0.contains("apusd") } }
        #expect(host.state.leftovers.filter { !$0.contains("apusd") } == [], sourceLocation: sourceLocation)
    }
    #expect(HostState.read(folder: host.folder, id: id).leftovers == [], sourceLocation: sourceLocation)
}
