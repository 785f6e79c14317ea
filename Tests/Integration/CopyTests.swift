import Foundation
import Testing

extension Integration {
    /// Copies, new names, profiles, and edits that meet each other.
    @Suite struct Copies {
        @Test func aCopyHasTheFilesTheKeysAndTheSnapshots() throws {
            try withContainer(.busybox, "-c", "limits.processes=77") { host, name in
                try host.exec(name, "sh", "-c", "echo first > /root/note")
                try host.apus("snapshot", name, "s1")
                try host.exec(name, "sh", "-c", "echo second > /root/note")
                let copy = name + "-copy"
                try expectNothingLeft(on: host, of: copy) {
                    // While it runs: files as they are at one instant.
                    try host.apus("copy", name, copy, "-c", "user.of=\(name)")
                    let shown = try host.query("/1.0/containers/\(copy)")
                    #expect(shown["config"]["limits.processes"].string == "77")
                    #expect(shown["config"]["user.of"].string == name)
                    #expect(shown["status"].string == "Stopped")
                    try host.apus("start", copy)
                    #expect(try host.exec(copy, "cat", "/root/note") == "second")
                    #expect(try host.exec(copy, "cat", "/proc/sys/kernel/hostname") == copy)
                    try host.apus("stop", copy, "--force")
                    try host.apus("restore", copy, "s1")
                    try host.apus("start", copy)
                    #expect(try host.exec(copy, "cat", "/root/note") == "first")
                    #expect(try host.exec(name, "cat", "/root/note") == "second")
                    try host.apus("delete", copy, "--force")
                }
                try expectNothingLeft(on: host, of: copy) {
                    try host.apus("copy", "\(name)/s1", copy, "-c", "limits.processes=")
                    let shown = try host.query("/1.0/containers/\(copy)")
                    #expect(shown["config"]["limits.processes"].string == nil)
                    try host.apus("start", copy)
                    #expect(try host.exec(copy, "cat", "/root/note") == "first")
                    try host.apus("delete", copy, "--force")
                }
            }
        }

        @Test func copiesThatCannotBeMadeLeaveNothing() throws {
            try withContainer(.busybox) { host, name in
                let copy = name + "-copy"
                try expectNothingLeft(on: host, of: copy) {
                    for (arguments, words) in [
                        (["copy", "nobody-\(name)", copy], "not found"),
                        (["copy", "\(name)/nothing", copy], "not found"),
                        (["copy", name, name], "already exists"),
                        (["copy", name, copy, "-c", "limits.cpus=1"], "Unknown configuration key"),
                        (["copy", name, copy, "-p", "nothing"], "Profile not found"),
                    ] {
                        let outcome = try host.apus(arguments, expecting: 1)
                        #expect(outcome.complaint.contains(words), "\(outcome)")
                    }
                    #expect(try host.status(of: copy) == nil)
                }
            }
        }

        @Test func newNames() throws {
            try withContainer(.busybox) { host, name in
                try host.apus("snapshot", name, "s1", "--stateful")
                let refused = try host.apus("move", name, name + "-new", expecting: 1)
                #expect(refused.complaint.contains("stop it"), "\(refused)")
                try host.apus("move", "\(name)/s1", "\(name)/s2")
                try host.apus("rename", "\(name)/s2", "s3")
                try host.apus("stop", name, "--force")
                try host.apus("move", name, name + "-new")
                #expect(try host.status(of: name) == nil)
                // The saved state goes with it.
                try host.apus("restore", name + "-new", "s3", "--stateful")
                #expect(try host.status(of: name + "-new") == "Running")
                try host.apus("stop", name + "-new", "--force")
                try host.apus("move", name + "-new", name)
                #expect(try host.status(of: name) == "Stopped")
            }
        }

        @Test func aProfileReachesAllThatHaveIt() throws {
            try withContainer(.busybox) { host, first in
                try withContainer(.busybox) { _, second in
                    let profile = "p-\(first)"
                    try host.apus("profile", "create", profile)
                    for name in [first, second] { try host.apus("profile", "add", name, profile) }
                    try host.apus("profile", "set", profile, "limits.processes=123")
                    let limits = host.state.cgroups.map { "\($0)/pids.max" }.map {
                        text(of: $0).trimmingCharacters(in: .whitespacesAndNewlines)
                    }
                    #expect(limits.filter { $0 == "123" }.count == 2, "\(limits)")
                    let refused = try host.apus("profile", "delete", profile, expecting: 1)
                    #expect(refused.complaint.contains("in use"))
                    try host.apus("profile", "rename", profile, profile + "-new")
                    #expect(try host.query("/1.0/containers/\(first)")["profiles"].array.count == 2)
                    for name in [first, second] { try host.apus("profile", "assign", name, "default") }
                    try host.apus("profile", "delete", profile + "-new")
                }
            }
        }

        @Test func ofTwoEditsOfOneStateOneIsRefused() throws {
            try withContainer(.busybox) { host, name in
                for path in ["/1.0/containers/\(name)", "/1.0/profiles/default"] {
                    let read = try host.connection().get(path)
                    let tag = try #require(read.headers["etag"])
                    let answer = try JSONSerialization.jsonObject(with: read.body) as? [String: Any]
                    var put = try #require(answer?["metadata"] as? [String: Any])
                    var config = put["config"] as? [String: String] ?? [:]
                    config["user.edited"] = "first"
                    put["config"] = config
                    let body = String(
                        decoding: try JSONSerialization.data(withJSONObject: put), as: UTF8.self)
                    let first = try host.connection().request("PUT", path, body, headers: ["If-Match": tag])
                    #expect(first.status < 300, "\(first)")
                    try eventually("the first edit of \(path)") {
                        try host.query(path)["config"]["user.edited"].string == "first"
                    }
                    let second = try host.connection().request("PUT", path, body, headers: ["If-Match": tag])
                    #expect(second.status == 412, "\(second)")
                }
                try host.apus("profile", "unset", "default", "user.edited")
            }
        }
    }
}
