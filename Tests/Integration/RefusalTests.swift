import Foundation
import Testing

extension Integration {
    /// What cannot be saved, or would not come back, is refused before anything stops.
    @Suite struct Refusals {
        @Test func aContainerWithNestingSaysWhyItCannotBeSaved() throws {
            try withContainer(.busybox, "-c", "security.nesting=true") { host, name in
                for command in [["snapshot", name, "s", "--stateful"], ["stop", name, "--stateful"]] {
                    let refused = try host.apus(command, expecting: 1)
                    #expect(refused.complaint.contains("security.nesting"), "\(refused)")
                }
                #expect(try host.status(of: name) == "Running")
                #expect(try host.query("/1.0/containers/\(name)/snapshots").array.isEmpty)
                // Files alone can be kept.
                try host.apus("snapshot", name, "files")
            }
        }

        /// Processes that CRIU cannot save or not bring back, held as a service.
        @Test(arguments: ["memfd", "mapped", "trace"])
        func aProcessThatStandsInTheWayIsNamed(kind: String) throws {
            try withContainer(.debian12) { host, name in
                let guest = try Guest.start(in: name, of: .debian12, on: host)
                let before = try guest.verify()
                try host.exec(name, "systemd-run", "--quiet", "--unit=holder", Guest.path, "hold", kind)
                try eventually("the process to be there") {
                    try host.exec(name, "systemctl", "show", "-P", "MainPID", "holder") != "0"
                }
                let found = try check(name, on: host, expecting: 1)
                let ids = ["memfd": "runs-from-memory", "mapped": "sealed-memory", "trace": "traced"]
                #expect(found["possible"].bool == false)
                #expect(Set(found["findings"].array.compactMap { $0["id"].string }) == [ids[kind]])
                #expect(found["findings"][0]["unit"].string == "holder.service", "\(found)")
                for command in [["snapshot", name, "s", "--stateful"], ["stop", name, "--stateful"]] {
                    let refused = try host.apus(command, expecting: 1)
                    #expect(refused.complaint.contains("process"), "\(refused)")
                    #expect(refused.took < .seconds(10), "\(refused)")
                    #expect(try host.status(of: name) == "Running")
                    #expect(host.state.frozen == [])
                    #expect(try guest.verify().id == before.id)
                }
                #expect(try host.query("/1.0/containers/\(name)/snapshots").array.isEmpty)
                #expect(names(in: "\(host.folder)/checkpoints/\(name)/snapshots") == [])
                // Without it, all goes well.
                try host.exec(name, "systemctl", "kill", "--signal=KILL", "holder")
                try eventually("the process to be gone") {
                    try !host.exec(
                        name, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '", expecting: nil
                    ).contains("hold \(kind)")
                }
                #expect(try check(name, on: host)["findings"].array.isEmpty)
                try host.apus("snapshot", name, "s", "--stateful")
            }
        }

        private func check(_ name: String, on host: TestHost, expecting code: Int32 = 0) throws -> JSON {
            try JSON(
                host.apus("checkpoint", "check", name, "--format", "json", expecting: code).output)
        }

        @Test func aCheckTellsWhatItLooksFor() throws {
            try withContainer(.busybox) { host, name in
                #expect(try host.apus("checkpoint", "check", name).text.contains("Nothing stands in the way"))
                #expect(
                    try host.apus("checkpoint", "check", "--explain", "io-uring").text.contains("io_uring"))
                #expect(
                    try host.apus("checkpoint", "check", "--explain", "x", expecting: 1).complaint.contains(
                        "traced"))
                try host.apus("stop", name, "--force")
                #expect(
                    try host.apus("checkpoint", "check", name, expecting: 1).complaint.contains("not running")
                )
            }
        }

        @Test func aSecondOperationIsToldWhatTheFirstIs() throws {
            try withContainer(.debian12) { host, name in
                try Guest.install(in: name, on: host)
                try host.exec(name, "systemd-run", "--quiet", "--unit=fill", Guest.path, "fill", "600")
                try eventually("600 MiB to be touched") {
                    try host.exec(
                        name, "sh", "-c", "grep VmRSS /proc/$(systemctl show -P MainPID fill)/status"
                    )
                    .contains(/[6-9][0-9]{5} kB/)
                }
                let first = try host.begin("snapshot", name, "s", "--stateful")
                try eventually("the first operation to run") {
                    try !host.query("/1.0/operations")["running"].array.isEmpty
                }
                let second = try host.apus("snapshot", name, "t", expecting: nil)
                let outcome = try first.wait()
                #expect(outcome.code == 0, "\(outcome)")
                #expect(second.code == 1, "both at once")
                #expect(second.complaint.contains("busy"), "\(second)")
                #expect(second.complaint.contains("snapshot"), "\(second)")
                #expect(try host.query("/1.0/containers/\(name)/snapshots").array.count == 1)
            }
        }

        @Test func commandsThatDoNotFitTheStateSaySo() throws {
            try withContainer(.busybox) { host, name in
                #expect(try host.apus("start", name, expecting: 1).complaint.contains("running"))
                #expect(try host.apus("delete", name, expecting: 1).complaint.contains("running"))
                #expect(try host.apus("restore", name, "none", expecting: 1).complaint.contains("not found"))
                try host.apus("snapshot", name, "s")
                #expect(try host.apus("snapshot", name, "s", expecting: 1).complaint.contains("exist"))
                try host.apus("stop", name, "--force")
                #expect(try host.apus("stop", name, expecting: 1).complaint.contains("stopped"))
                #expect(
                    try host.apus("snapshot", name, "t", "--stateful", expecting: 1).complaint.contains(
                        "running"))
                #expect(try host.apus("stop", "nobody", expecting: 1).complaint.contains("not found"))
            }
        }
    }
}
