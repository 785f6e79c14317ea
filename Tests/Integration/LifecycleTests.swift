import Foundation
import Testing

extension Integration {
    /// Launch, look, stop, start, pause, delete: each kind of container.
    @Suite struct Lifecycle {
        @Test(arguments: TestImage.allCases, [false, true])
        func aContainerLivesItsLife(image: TestImage, privileged: Bool) throws {
            try withContainer(image, "-c", "security.privileged=\(privileged)") { host, name in
                #expect(try host.status(of: name) == "Running")
                #expect(try host.exec(name, "id", "-u") == "0")
                #expect(try host.exec(name, "cat", "/proc/sys/kernel/hostname") == name)
                try checkIdentities(host, name, privileged: privileged)
                if image.hasSystemd {
                    let failed = try host.exec(name, "systemctl", "--failed", "--no-legend", expecting: nil)
                    #expect(try host.settle(image, name) == "running", "failed units: \(failed)")
                }

                let stopped = try host.apus("stop", name, limit: .seconds(90))
                #expect(stopped.took < .seconds(30), "init did not follow the request to shut down")
                #expect(try host.status(of: name) == "Stopped")
                try host.apus("start", name)
                try host.settle(image, name)

                try host.apus("restart", name, limit: .seconds(120))
                try host.settle(image, name)

                try host.apus("pause", name)
                #expect(try host.status(of: name) == "Frozen")
                #expect(!host.state.frozen.isEmpty)
                try host.apus("start", name)
                #expect(try host.status(of: name) == "Running")
                #expect(host.state.frozen == [])
                #expect(try host.exec(name, "echo", "alive") == "alive")
            }
        }

        @Test func stopWithForceNeedsNoHelpFromInit() throws {
            try withContainer(.busybox) { host, name in
                let outcome = try host.apus("stop", name, "--force")
                #expect(outcome.took < .seconds(5))
                #expect(try host.status(of: name) == "Stopped")
            }
        }

        @Test func poweroffInsideStopsTheContainer() throws {
            try withContainer(.debian12) { host, name in
                try host.exec(name, "systemctl", "poweroff", expecting: nil)
                try eventually("\(name) to be stopped", limit: .seconds(60)) {
                    try host.status(of: name) == "Stopped"
                }
            }
        }

        @Test func filesStayOverAStopAndStart() throws {
            try withContainer(.busybox) { host, name in
                try host.exec(name, "sh", "-c", "echo kept > /root/note")
                try host.apus("stop", name, "--force")
                try host.apus("start", name)
                #expect(try host.exec(name, "cat", "/root/note") == "kept")
            }
        }

        @Test func limitsReachTheKernel() throws {
            try withContainer(.busybox, "-c", "limits.memory=128MiB", "-c", "limits.processes=50") {
                host, name in
                let files = host.state.cgroups.flatMap {
                    ["\($0)/memory.limit_in_bytes", "\($0)/memory.max"]
                }
                let limits = files.map { text(of: $0).trimmingCharacters(in: .whitespacesAndNewlines) }
                #expect(limits.contains("134217728"), "no cgroup of the container has the limit")
                let counts = host.state.cgroups.map { "\($0)/pids.max" }.map {
                    text(of: $0).trimmingCharacters(in: .whitespacesAndNewlines)
                }
                #expect(counts.contains("50"))
                // What the container tries to take away from outside its view.
                let tried = try host.apus(
                    "exec", name, "--", "sh", "-c", "dd if=/dev/zero of=/dev/null bs=200M count=1",
                    expecting: nil)
                #expect(tried.code != 0, "200 MiB fit into 128")
                #expect(try host.status(of: name) == "Running")
            }
        }

        @Test func consoleKeepsWhatInitSaid() throws {
            try withContainer(.debian12) { host, name in
                let shown = try host.apus("console", name, "--show-log")
                #expect(shown.text.contains("systemd") || shown.text.contains("login:"), "\(shown)")
            }
        }

        @Test func twoContainersHaveDisjointIdentities() throws {
            try withContainer(.busybox) { host, first in
                try withContainer(.busybox) { _, second in
                    let a = try uidMap(host, first)
                    let b = try uidMap(host, second)
                    #expect(a.host + a.count <= b.host || b.host + b.count <= a.host, "\(a) and \(b) overlap")
                    #expect(a.host >= 65536 && b.host >= 65536)
                }
            }
        }

        @Test func aNameIsTakenOnce() throws {
            try withContainer(.busybox) { host, name in
                let again = try host.apus("launch", try host.image(.busybox), name, expecting: 1)
                #expect(again.complaint.contains("exist"), "\(again)")
                #expect(try host.exec(name, "echo", "alive") == "alive")
            }
        }

        @Test func debianImageIsBuiltFromTheMachinesMirrorAndKept() throws {
            // `debian:12` itself, not the cached test image: built at most once, then found by its fingerprint.
            let host = try Integration.host
            let name = Integration.freshName()
            try expectNothingLeft(on: host, of: name) {
                try host.apus("launch", "debian:12", name, limit: .seconds(900))
                #expect(try host.exec(name, "cat", "/etc/debian_version").hasPrefix("12"))
                try host.apus("delete", name, "--force")
                let again = try host.apus("launch", "debian:12", name, limit: .seconds(60))
                #expect(again.took < .seconds(20), "the image was not found again")
                try host.apus("delete", name, "--force")
            }
        }

        private func uidMap(_ host: TestHost, _ name: String) throws -> (host: Int, count: Int) {
            let fields = try host.exec(name, "cat", "/proc/self/uid_map").split(
                whereSeparator: \.isWhitespace)
            try #require(fields.count >= 3)
            return (try #require(Int(fields[1])), try #require(Int(fields[2])))
        }

        private func checkIdentities(_ host: TestHost, _ name: String, privileged: Bool) throws {
            let map = try uidMap(host, name)
            #expect(privileged ? map.host == 0 : map.host >= 65536)
            // Written by root inside, owned by root inside: the root is mapped, not shifted.
            try host.exec(name, "touch", "/root/mine")
            #expect(try host.exec(name, "stat", "-c", "%u:%g", "/root/mine") == "0:0")
            #expect(try host.exec(name, "stat", "-c", "%u:%g", "/bin") == "0:0")
            if !privileged {
                // Root inside is nobody outside.
                let refused = try host.apus(
                    "exec", name, "--", "sh", "-c", "echo 1 > /proc/sys/kernel/sysrq", expecting: nil)
                #expect(refused.code != 0)
            }
        }
    }
}
