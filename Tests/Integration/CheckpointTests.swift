import Foundation
import Testing

extension Integration {
    /// Running state to disk and back, again and again.
    @Suite struct Checkpoints {
        /// How many cycles each kind of container has to go through.
        static let plan: [(TestImage, privileged: Bool, cycles: Int)] = [
            (.debian12, false, Integration.cycles),
            (.debian13, false, max(2, Integration.cycles / 3)),
            (.busybox, false, max(2, Integration.cycles / 2)),
            (.busybox, true, max(2, Integration.cycles / 4)),
        ]

        @Test(arguments: plan.indices)
        func aContainerGoesOnCycleAfterCycle(kind: Int) throws {
            let (image, privileged, cycles) = Self.plan[kind]
            let limits = ["limits.memory=512MiB", "limits.cpu=1", "limits.processes=500"].flatMap {
                ["-c", $0]
            }
            let network = try machineHasNetworks ? ["--network", Integration.host.sharedNetwork()] : []
            let options = ["-c", "security.privileged=\(privileged)"] + limits + network
            try withContainer(image, options) { host, name in
                let address = network.isEmpty ? nil : try waitForAddress(host, name, image)
                let guest = try Guest.start(in: name, of: image, on: host)
                let health = try host.settle(image, name)
                let kernel = KernelShape(host.state)
                var last = try guest.verify()
                for cycle in 1...cycles {
                    if cycle.isMultiple(of: 2) {
                        try host.apus("stop", name, "--stateful")
                        #expect(try host.status(of: name) == "Stopped")
                        try host.apus("start", name)
                    } else {
                        let snapshot = "s\(cycle)"
                        try host.apus("snapshot", name, snapshot, "--stateful")
                        try host.apus("restore", name, snapshot)
                        try host.apus("delete", "\(name)/\(snapshot)")
                    }
                    #expect(try host.status(of: name) == "Running")
                    let now = try guest.verify("cycle \(cycle)")
                    #expect(now.id == last.id, "cycle \(cycle): it is another process")
                    #expect(now.pid == last.pid)
                    #expect(now.tick > last.tick)
                    last = now
                    try checkCitizen(host, name, image, health: health, "cycle \(cycle)")
                    if let address {
                        #expect(try host.address(name) == address, "cycle \(cycle)")
                        try must(["ping", "-c", "1", "-W", "5", address])
                    }
                    #expect(
                        KernelShape(host.state) == kernel,
                        "cycle \(cycle): the host holds more, or less, than before")
                    #expect(host.state.frozen == [])
                }
            }
        }

        /// Debian with systemd, privileged: where root lacks CAP_SYS_RESOURCE this is refused, with the reason, before
        /// anything stops; elsewhere it works.
        @Test func aPrivilegedDebianIsSavedOrRefusedInPlainWords() throws {
            try withContainer(.debian12, "-c", "security.privileged=true") { host, name in
                let guest = try Guest.start(in: name, of: .debian12, on: host)
                let before = try guest.verify()
                let outcome = try host.apus("snapshot", name, "s", "--stateful", expecting: nil)
                if outcome.code == 0 {
                    try host.apus("restore", name, "s")
                    let after = try guest.verify()
                    #expect(after.id == before.id)
                } else {
                    #expect(outcome.complaint.contains("CAP_SYS_RESOURCE"), "\(outcome)")
                    #expect(try host.query("/1.0/containers/\(name)/snapshots").array.isEmpty)
                }
                #expect(try guest.verify().id == before.id)
                #expect(host.state.frozen == [])
            }
        }

        @Test func aSnapshotBringsBackItsOwnInstant() throws {
            try withContainer(.debian12) { host, name in
                let guest = try Guest.start(in: name, of: .debian12, on: host)
                try host.exec(name, "sh", "-c", "echo early > /root/note")
                try host.apus("snapshot", name, "then", "--stateful")
                let taken = try guest.verify()
                try host.exec(name, "sh", "-c", "echo late > /root/note; touch /root/new")
                // A process of after the snapshot has to be gone, one of before has to be back.
                try host.exec(name, "systemd-run", "--unit=later", "sleep", "1000")
                try host.exec(name, "systemctl", "stop", "guest")
                try host.apus("restore", name, "then")
                let back = try guest.verify()
                #expect(back.id == taken.id)
                #expect(back.tick < taken.tick + 100)
                #expect(try host.exec(name, "cat", "/root/note") == "early")
                try host.exec(name, "test", "-e", "/root/new", expecting: 1)
                try host.exec(name, "systemctl", "is-active", "later", expecting: 3)

                // Also from a stopped container, and as often as one likes.
                try host.apus("stop", name, "--force")
                try host.apus("restore", name, "then")
                #expect(try host.status(of: name) == "Running")
                #expect(try guest.verify().id == taken.id)
                try host.apus("delete", "\(name)/then")
            }
        }

        @Test func aSnapshotOfFilesAlone() throws {
            try withContainer(.busybox) { host, name in
                try host.exec(name, "sh", "-c", "echo early > /root/note")
                try host.apus("snapshot", name, "files")
                try host.exec(name, "sh", "-c", "echo late > /root/note")
                try host.apus("restore", name, "files")
                try eventually("\(name) to run") { try host.status(of: name) == "Running" }
                #expect(try host.exec(name, "cat", "/root/note") == "early")
            }
        }

        @Test func sessionsOfExecRunOnBesideASnapshot() throws {
            try withContainer(.debian12) { host, name in
                let session = try host.begin(
                    "exec", name, "--", "sh", "-c", "echo up; read word; echo got $word", input: .open)
                try session.wait(for: "the session to be up") { $0.contains("up") }
                try host.apus("snapshot", name, "s", "--stateful")
                session.write("it\n")
                try session.closeInput()
                #expect(try session.wait(limit: .seconds(20)).text == "up\ngot it")
            }
        }

        @Test func aStatefulStopEndsSessionsAndSaysWhy() throws {
            try withContainer(.busybox) { host, name in
                let session = try host.begin(
                    "exec", name, "--", "sh", "-c", "echo up; read word", input: .open)
                try session.wait(for: "the session to be up") { $0.contains("up") }
                try host.apus("stop", name, "--stateful")
                let outcome = try session.wait(limit: .seconds(20))
                #expect(outcome.code != 0)
                #expect(outcome.complaint.contains("stop"), "\(outcome)")
                try host.apus("start", name)
                try Guest(name: name, host: host, folder: "/var/guest").verify()
            }
        }

        /// What a session left running has become a child of init, and so part of the container.
        @Test func aDaemonStartedByExecIsPartOfTheContainer() throws {
            try withContainer(.busybox) { host, name in
                try host.exec(
                    name, "sh", "-c", "/bin/busybox setsid sleep 54321 >/dev/null 2>&1 </dev/null &")
                try host.apus("stop", name, "--stateful")
                try host.apus("start", name)
                let all = try host.exec(
                    name, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '", expecting: nil)
                #expect(all.contains("sleep 54321"))
            }
        }

        @Test func aStateCanBeDropped() throws {
            try withContainer(.busybox) { host, name in
                let first = try Guest.start(in: name, of: .busybox, on: host).verify()
                try host.apus("stop", name, "--stateful")
                try host.apus("start", name, "--stateless")
                let second = try Guest.start(in: name, of: .busybox, on: host).verify()
                #expect(first.id != second.id)
                #expect(names(in: "\(host.folder)/checkpoints/\(name)/state") == [])
            }
        }

        @Test func checkpointsAreForRootAlone() throws {
            try withContainer(.busybox) { host, name in
                try host.apus("snapshot", name, "s", "--stateful")
                let folder = "\(host.folder)/checkpoints/\(name)/snapshots/s"
                let mode = try must(["stat", "-c", "%a", folder]).text
                #expect(mode == "700")
                #expect(try must(["stat", "-c", "%a", "\(folder)/images"]).text == "755")
                let others = try run([
                    "setpriv", "--reuid=65534", "--clear-groups", "stat", folder + "/images",
                ]).code
                #expect(others != 0)
            }
        }

        private func waitForAddress(_ host: TestHost, _ name: String, _ image: TestImage) throws -> String {
            guard image.hasSystemd else { return try host.lease(name) }
            try eventually("\(name) to have an address") { (try? host.address(name)) != nil }
            return try host.address(name)
        }

        // MARK: what a citizen can do

        /// After each cycle: health, jobs, idle init, limits, console.
        private func checkCitizen(
            _ host: TestHost, _ name: String, _ image: TestImage, health: String, _ when: Comment
        ) throws {
            guard image.hasSystemd else { return }
            #expect(try host.settle(image, name) == health, when)
            let service = "systemd-logind"
            // systemd refuses what is started five times in ten seconds, as fast cycles are.
            try host.exec(name, "systemctl", "reset-failed", service)
            try host.exec(name, "systemctl", "restart", service)
            #expect(try host.exec(name, "systemctl", "is-active", service) == "active", when)
            #expect(
                try host.exec(name, "systemd-run", "--wait", "--quiet", "--collect", "--pipe", "echo", "job")
                    == "job", when)
            let ticks = try #require(Int(try host.exec(name, "/usr/local/bin/guest", "pid1")))
            #expect(ticks <= 5, "PID 1 is not idle: \(ticks) ticks in a second")
        }
    }
}

/// What a daemon's containers hold in the kernel, without the numbers that change with each life.
struct KernelShape: Equatable, CustomStringConvertible {
    let mounts: [String]
    let cgroups: Int
    let loops: [String]
    let runtimes: Int
    let strays: [String]

    init(_ state: HostState) {
        mounts = state.mounts.map { $0.replacing(/\/[0-9]+(?=\/|$)/, with: "/N") }.sorted()
        // One folder per hierarchy and container; what is below is the container's own.
        cgroups = state.cgroups.filter { $0.contains(/\/apus-[^\/]+\/[^\/]+$/) }.count
        loops = state.loops
        runtimes = state.runtimes.count
        strays = state.processes.values.filter { $0.hasPrefix("criu") || $0.hasPrefix("ld-linux") }.sorted()
    }

    var description: String {
        "mounts \(mounts), \(cgroups) cgroups, loop devices \(loops), \(runtimes) runtimes, strays \(strays)"
    }
}
