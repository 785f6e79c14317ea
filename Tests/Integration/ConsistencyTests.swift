import Foundation
import Testing

extension Integration {
    /// Files and memory of a checkpoint are of the same instant.
    @Suite struct Consistency {
        /// A writer counts as fast as it goes, in memory, in a file (overwritten in place: only its time stamp moves) and in
        /// a shared mapping of another (not even that), and compares the three at each step.
        @Test func aCounterAgreesWithItsFiles() throws {
            try withContainer(.debian12) { host, name in
                try Guest.install(in: name, on: host)
                try host.exec(
                    name, "systemd-run", "--quiet", "--unit=counter", Guest.path, "counter",
                    "/var/lib/counter")
                try eventually("the counter to count") { try count(host, name).code == 0 }
                for round in 1...4 {
                    try host.apus("snapshot", name, "s\(round)", "--stateful")
                    let later = try number(host, name, "after the snapshot")
                    try host.apus("restore", name, "s\(round)")
                    let back = try number(host, name, "after restore \(round)")
                    #expect(back > 0)
                    _ = later
                }
                // The first again: what it held has not been touched by what came after.
                try host.apus("restore", name, "s1")
                _ = try number(host, name, "after the first again")
                try host.apus("stop", name, "--stateful")
                try host.apus("start", name)
                _ = try number(host, name, "after stop and start")
            }
        }

        /// The same number on the disk of the snapshot as in the memory beside it: restored, held still, read.
        @Test func theNumberIsTheSame() throws {
            try withContainer(.debian12) { host, name in
                try Guest.install(in: name, on: host)
                try host.exec(
                    name, "systemd-run", "--quiet", "--unit=counter", Guest.path, "counter",
                    "/var/lib/counter")
                try eventually("the counter to count") { try count(host, name).code == 0 }
                try host.apus("snapshot", name, "s", "--stateful")
                // Not elsewhere: what earlier containers had may be on its way out.
                let files = "\(host.folder)/storage-pools/default/snapshots/\(name)"
                let found = try must([
                    "find", files, "-path", "*/rootfs/var/lib/counter/*", "-type", "f",
                ]).text
                let kept = try found.split(separator: "\n").map { path in
                    try Data(contentsOf: URL(filePath: String(path))).prefix(8).reversed().reduce(UInt64(0)) {
                        $0 << 8 | UInt64($1)
                    }
                }
                try #require(kept.count == 2, "\(found)")
                // It may have been stopped between its two writes, never further apart.
                let apart = kept[0] > kept[1] ? kept[0] - kept[1] : kept[1] - kept[0]
                #expect(apart <= 1, "the two files are \(apart) apart")
                try host.apus("restore", name, "s")
                let now = try number(host, name, "after restore")
                #expect(now >= kept[0], "memory is behind the files: \(now) and \(kept)")
            }
        }

        private func count(_ host: TestHost, _ name: String) throws -> Outcome {
            try host.apus("exec", name, "--", Guest.path, "ask", "/var/lib/counter", "count", expecting: nil)
        }

        private func number(_ host: TestHost, _ name: String, _ when: Comment) throws -> UInt64 {
            let answer = try JSON(try count(host, name).output)
            #expect(answer["disagreed"].int == 0, "\(when): \(answer["problems"])")
            return UInt64(try #require(answer["count"].int))
        }
    }
}
