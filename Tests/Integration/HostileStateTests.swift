import Foundation
import Glibc
import Testing

extension Integration {
    /// Checkpoints that were altered, or do not fit this host, are refused before the container is touched.
    @Suite struct HostileStates {
        /// What is done to a checkpoint: a name, and the change to its folder.
        struct Change: CustomTestStringConvertible, Sendable {
            let testDescription: String
            let apply: @Sendable (String) throws -> Void
        }

        static let changes: [Change] = [
            Change(testDescription: "a bit of its memory is flipped") { folder in
                let path = try largest(in: folder + "/images")
                try patch(path) { data in data[data.count / 2] ^= 1 }
            },
            Change(testDescription: "its memory is cut short") { folder in
                let path = try largest(in: folder + "/images")
                truncate(path, 4096)
            },
            Change(testDescription: "an image is gone") { folder in
                try must(["rm", "\(folder)/images/inventory.img"])
            },
            Change(testDescription: "an image is empty") { folder in
                truncate("\(folder)/images/inventory.img", 0)
            },
            Change(testDescription: "an image is a link to a file of the host") { folder in
                try must(["ln", "-sf", "/etc/passwd", "\(folder)/images/inventory.img"])
            },
            Change(testDescription: "a file was added") { folder in
                try "x".write(toFile: "\(folder)/images/more.img", atomically: true, encoding: .utf8)
            },
            Change(testDescription: "the manifest is gone") { folder in
                try must(["rm", "\(folder)/manifest.json"])
            },
            Change(testDescription: "the manifest is no JSON") { folder in
                try "{".write(toFile: "\(folder)/manifest.json", atomically: true, encoding: .utf8)
            },
            Change(testDescription: "the record is gone") { folder in
                try must(["rm", "\(folder)/checkpoint.json"])
            },
            Change(testDescription: "the record is of another architecture") { folder in
                let path = "\(folder)/checkpoint.json"
                let record = try String(contentsOfFile: path, encoding: .utf8)
                try record.replacingOccurrences(of: TestImage.architecture, with: "vax")
                    .write(toFile: path, atomically: true, encoding: .utf8)
            },
        ]

        @Test func anAlteredStateIsRefusedAndKept() throws {
            try withContainer(.busybox) { host, name in
                let guest = try Guest.start(in: name, of: .busybox, on: host)
                let before = try guest.verify()
                try host.apus("stop", name, "--stateful")
                let folder = "\(host.folder)/checkpoints/\(name)/state"
                let copy = "\(TestHost.scratch)/state-copy"
                try must(["cp", "-a", folder, copy])
                defer { _ = try? run(["rm", "-rf", copy]) }
                for change in Self.changes {
                    try change.apply(folder)
                    let altered = try listing(folder)
                    let refused = try host.apus("start", name, expecting: 1)
                    #expect(
                        refused.complaint.split(separator: "\n").contains { $0.hasPrefix("Error: ") },
                        "\(change.testDescription): \(refused)")
                    #expect(refused.complaint.count > 30, "\(change.testDescription): \(refused.complaint)")
                    #expect(try host.status(of: name) == "Stopped", "\(change.testDescription)")
                    #expect(host.state.mounts == [], "\(change.testDescription)")
                    #expect(
                        try listing(folder) == altered, "\(change.testDescription): the state was not kept")
                    try must(["rm", "-rf", folder])
                    try must(["cp", "-a", copy, folder])
                }
                try host.apus("start", name)
                #expect(try guest.verify().id == before.id)
            }
        }

        @Test func anAlteredSnapshotLeavesTheRunningContainerAlone() throws {
            try withContainer(.busybox) { host, name in
                let guest = try Guest.start(in: name, of: .busybox, on: host)
                try host.apus("snapshot", name, "s", "--stateful")
                try host.exec(name, "sh", "-c", "echo later > /root/note")
                let before = try guest.verify()
                try Self.changes[0].apply("\(host.folder)/checkpoints/\(name)/snapshots/s")
                let refused = try host.apus("restore", name, "s", expecting: 1)
                #expect(
                    refused.complaint.contains("has changed since the checkpoint")
                        || refused.complaint.contains("altered")
                        || refused.complaint.contains("damaged"),
                    "\(refused)")
                let after = try guest.verify()
                #expect(after.id == before.id && after.tick >= before.tick)
                #expect(try host.exec(name, "cat", "/root/note") == "later")
                #expect(host.state.frozen == [])
                try host.apus("delete", "\(name)/s")
            }
        }

        private static func largest(in folder: String) throws -> String {
            let files = names(in: folder).map { "\(folder)/\($0)" }
            let sizes = try files.map { path in
                ((try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? 0, path)
            }
            guard let most = sizes.max(by: { $0.0 < $1.0 }) else { throw Trouble("no images in \(folder)") }
            return most.1
        }

        private static func patch(_ path: String, _ change: (inout Data) -> Void) throws {
            var data = try Data(contentsOf: URL(filePath: path))
            change(&data)
            let handle = try FileHandle(forWritingTo: URL(filePath: path))
            try handle.write(contentsOf: data)
            try handle.close()
        }

        private func listing(_ folder: String) throws -> String {
            try must(["find", folder, "-printf", "%P %y %s %l\n"]).text.split(separator: "\n").sorted()
                .joined(separator: "\n")
        }
    }
}
