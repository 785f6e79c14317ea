import Foundation
import Testing

extension Integration {
    /// What saved running states hold.
    @Suite struct CheckpointShow {
        private func show(_ name: String, on host: TestHost) throws -> JSON {
            try JSON(host.apus("checkpoint", "show", name, "--format", "json").output)
        }

        @Test func aSnapshotTellsWhatItHolds() throws {
            try withContainer(.busybox) { host, name in
                let guest = try Guest.start(in: name, of: .busybox, on: host).verify()
                try host.apus("snapshot", name, "a", "--stateful")
                let state = try show("\(name)/a", on: host)
                #expect(state["container"].string == name)
                #expect(state["criu"].string?.isEmpty == false && state["kernel"].string?.isEmpty == false)
                #expect((state["times"]["frozen_us"].int ?? 0) > 0)
                #expect((state["times"]["pages_written"].int ?? 0) > 0)
                let sizes = state["sizes"]
                let sum = ["memory", "tmpfs", "deleted_files", "other"].reduce(0) {
                    $0 + (sizes[$1].int ?? 0)
                }
                #expect(state["size"].int == sum)
                #expect((sizes["memory"].int ?? 0) > 64 << 20, "the guest holds so much")

                let processes = state["processes"].array
                #expect(processes.first?["pid"].int == 1)
                let it = try #require(processes.first { $0["pid"].int == guest.pid })
                #expect(it["name"].string == "guest")
                #expect(it["state"].string == "running")
                #expect(it["threads"].array.count > 1)
                #expect((it["memory_private"].int ?? 0) > 32 << 20)
                #expect((it["memory_files"].int ?? 0) > 0)
                #expect(it["executable"].string?.hasSuffix("guest") == true)

                let sockets = state["sockets"].array.filter { $0["kind"].string == "tcp" }
                #expect(
                    sockets.contains {
                        $0["state"].string == "LISTEN" && $0["local"].string?.hasPrefix("127.0.0.1:") == true
                    }, "\(sockets)")
                #expect(sockets.filter { $0["state"].string == "ESTABLISHED" }.count >= 2, "\(sockets)")
                #expect(state["files"].array.contains { $0["deleted"].bool == true })
                #expect(!state["timers"].array.isEmpty)
                #expect(
                    state["mounts"].array.contains { $0["path"].string == "/" && $0["root"].string == "/" })
                #expect(
                    try !host.apus("checkpoint", "show", "\(name)/a", "--format", "json").text
                        .contains(host.folder), "where the container lies is the host's affair")

                let text = try host.apus("checkpoint", "show", "\(name)/a").text
                #expect(
                    text.contains("Stood still: ") && text.contains("guest") && text.contains("127.0.0.1:"))
                let rows = try host.apus(
                    "checkpoint", "show", "\(name)/a", "--only", "processes", "--format", "csv"
                ).text
                #expect(rows.split(separator: "\n").count == processes.count)

                // One process more.
                try host.exec(
                    name, "sh", "-c", "/bin/busybox setsid sleep 54321 >/dev/null 2>&1 </dev/null &")
                try host.apus("snapshot", name, "b", "--stateful")
                let difference = try JSON(
                    host.apus("checkpoint", "diff", "\(name)/a", "\(name)/b", "--format", "json").output)
                let changes = difference["changes"].array
                let came = changes.filter { $0["what"].string == "process" }
                #expect(came.count == 1 && came.first?["change"].string == "came", "\(changes)")
                #expect(came.first?["process"].string == "sleep")
                #expect(
                    try host.apus("checkpoint", "diff", "\(name)/a", "\(name)/a").text
                        .contains("Nothing differs"))
            }
        }

        @Test func whatHasNoStateSaysWhatToDo() throws {
            try withContainer(.busybox) { host, name in
                func complaint(_ what: String...) throws -> String {
                    try host.apus(["checkpoint"] + what, expecting: 1).complaint
                }
                #expect(try complaint("show", name).contains("stop \(name) --stateful"))
                try host.apus("snapshot", name, "files")
                #expect(try complaint("show", "\(name)/files").contains("taken without --stateful"))
                #expect(try complaint("diff", "\(name)/files", name).contains("taken without --stateful"))
                #expect(try complaint("show", "\(name)/none").contains("not found"))
                #expect(try complaint("show", "nobody").contains("not found"))
                try host.apus("stop", name, "--stateful")
                #expect(try show(name, on: host)["processes"].array.first?["pid"].int == 1)

                // A state that somebody has changed is not told of.
                let image = "\(host.folder)/checkpoints/\(name)/state/images/pstree.img"
                var bytes = try Data(contentsOf: URL(filePath: image))
                bytes[bytes.count - 1] ^= 1
                try bytes.write(to: URL(filePath: image))
                #expect(try complaint("show", name).contains("has changed since"))
                bytes[bytes.count - 1] ^= 1
                try bytes.write(to: URL(filePath: image))
                try host.apus("start", name)
                #expect(try complaint("show", name).contains("it is running"))
            }
        }
    }
}
