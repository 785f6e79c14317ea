import ApusAPI
import ApusCore
import Foundation
import Glibc
import LinuxSystem
import Testing

@Suite("Backups over the socket", .enabled(if: geteuid() == 0), .timeLimit(.minutes(1)), .serialized)
struct BackupTests {
    private func with(_ body: (TestDaemon) async throws -> Void) async throws {
        try await TestDaemon.with { test in
            _ = try await test.request("POST", "/1.0/storage-pools", #"{"name":"default","driver":"dir"}"#)
            try await test.run(
                "POST", "/1.0/instances",
                #"{"name":"c1","config":{"user.a":"b"},"source":{"type":"none"}}"#)
            try await test.run("POST", "/1.0/instances/c1/snapshots", #"{"name":"s0"}"#)
            try await body(test)
            #expect(try Files.names(in: test.daemon.directory.work).isEmpty)
        }
    }

    /// Sends a backup; gives the reply.
    private func send(_ archive: Data, _ test: TestDaemon, headers: [String: String] = [:]) async throws -> (
        status: Int, body: Data
    ) {
        var head = "POST /1.0/containers HTTP/1.1\r\nHost: unix.socket\r\nConnection: close\r\n"
        head += "Content-Type: application/octet-stream\r\nContent-Length: \(archive.count)\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        let reply = try TestDaemon.parse(try await test.raw(Array(Data((head + "\r\n").utf8) + archive)))
        return (reply.status, reply.body)
    }

    private func refusal(_ archive: Data, _ test: TestDaemon, headers: [String: String] = [:]) async throws
        -> Response<Empty>
    {
        try APIJSON.decode(
            Response<Empty>.self, from: try await send(archive, test, headers: headers).body)
    }

    @Test("A backup is made, listed, renamed, fetched and deleted")
    func life() async throws {
        try await with { test in
            try await test.run("POST", "/1.0/instances/c1/backups", "{}")
            try await test.run(
                "POST", "/1.0/instances/c1/backups",
                #"{"name":"","instance_only":true,"expires_at":"2999-01-01T00:00:00Z","compression_algorithm":"gzip"}"#
            )
            #expect(
                try await test.get([String].self, "/1.0/containers/c1/backups")
                    == ["/1.0/containers/c1/backups/backup0", "/1.0/containers/c1/backups/backup1"])
            let all = try await test.get([InstanceBackup].self, "/1.0/instances/c1/backups?recursion=1")
            #expect(all.map(\.instanceOnly) == [false, true])
            #expect(all.last?.expiresAt == Timestamp("2999-01-01T00:00:00Z"))
            try await test.run("POST", "/1.0/instances/c1/backups/backup1", #"{"name":"mine"}"#)
            #expect(try await test.get(InstanceBackup.self, "/1.0/instances/c1/backups/mine").name == "mine")
            let full = try await test.get(Instance.self, "/1.0/instances/c1?recursion=1")
            #expect(full.backups?.count == 2)
            let fetched = try await test.request("GET", "/1.0/instances/c1/backups/mine/export")
            #expect(fetched.headers["content-disposition"] == "inline;filename=c1.tar.gz")
            #expect(fetched.body.starts(with: [0x1F, 0x8B]))
            for (body, words) in [
                (#"{"name":"mine"}"#, "already exists"), (#"{"name":"../x"}"#, "Invalid backup name"),
                (#"{"optimized_storage":true}"#, "optimized"),
                (#"{"compression_algorithm":"rar"}"#, "zstd"),
                (#"{"compression_algorithm":"squashfs"}"#, "zstd"),
            ] {
                let refused = try await test.refused("POST", "/1.0/instances/c1/backups", body)
                #expect(refused.error.contains(words), "\(refused.error)")
            }
            for path in ["none", "%2e%2e", "mine%2Fx"] {
                let url = "/1.0/instances/c1/backups/\(path)"
                #expect(try await test.refused("GET", url).errorCode == 404, "\(path)")
                #expect(try await test.refused("DELETE", url).errorCode == 404, "\(path)")
            }
            try await test.run("DELETE", "/1.0/instances/c1/backups/mine")
            // They go where their container goes.
            try await test.run("POST", "/1.0/instances/c1", #"{"name":"c2"}"#)
            #expect(try await test.get([String].self, "/1.0/instances/c2/backups").count == 1)
            try await test.run("DELETE", "/1.0/instances/c2")
            #expect(try Files.names(in: test.daemon.directory.backups).isEmpty)
        }
    }

    @Test("What has expired is deleted")
    func expiry() async throws {
        try await with { test in
            try await test.run(
                "POST", "/1.0/instances/c1/backups", #"{"expires_at":"2001-01-01T00:00:00Z"}"#)
            #expect(try await test.get([String].self, "/1.0/instances/c1/backups").isEmpty)
        }
    }

    @Test("A backup becomes a container, and what cannot be one leaves nothing")
    func imports() async throws {
        try await with { test in
            try await test.run(
                "POST", "/1.0/instances/c1/backups", #"{"compression_algorithm":"none"}"#)
            let archive = try await test.request("GET", "/1.0/instances/c1/backups/backup0/export").body
            #expect(try await refusal(archive, test).errorCode == 409)
            for (headers, words) in [
                (["X-LXD-name": "a_b"], "Invalid instance name"),
                (["X-LXD-name": "c2", "X-LXD-pool": "none"], "none"),
            ] {
                let refused = try await refusal(archive, test, headers: headers)
                #expect(refused.errorCode >= 400 && refused.error.contains(words), "\(refused.error)")
            }
            for (from, to, words) in [
                ("\"user.a\": \"b\"", "\"user\na\": \"b\"", ""), ("user.a", "user,a", "user,a"),
            ] where !words.isEmpty {
                var altered = archive
                while let range = altered.range(of: Data(from.utf8)) {
                    altered.replaceSubrange(range, with: Data(to.utf8))
                }
                let refused = try await refusal(altered, test, headers: ["X-LXD-name": "c2"])
                #expect(refused.errorCode == 400 && refused.error.contains(words), "\(refused.error)")
            }
            for broken in [Data("nothing".utf8), Data(), archive.prefix(600)] {
                #expect(try await refusal(Data(broken), test).errorCode == 400)
            }
            // The beginning is good, and the end is missing: found by the operation.
            let half = try await send(
                archive.prefix(archive.count / 2), test, headers: ["X-LXD-name": "c2"])
            if half.status == 202 {
                let operation = try APIJSON.decode(Response<ApusAPI.Operation>.self, from: half.body)
                let ended = try await test.daemon.operations.wait(
                    try #require(operation.metadata).id, timeout: .seconds(20))
                #expect(ended.err.contains("whole"), "\(ended.err)")
            }
            #expect(try await test.get([String].self, "/1.0/instances") == ["/1.0/instances/c1"])

            let sent = try await send(archive, test, headers: ["X-LXD-name": "c2"])
            let operation = try APIJSON.decode(Response<ApusAPI.Operation>.self, from: sent.body)
            let ended = try await test.daemon.operations.wait(
                try #require(operation.metadata).id, timeout: .seconds(20))
            #expect(ended.err == "")
            #expect(ended.resources?["instances"] == ["/1.0/instances/c2"])
            let (old, made) = (
                try await test.get(Instance.self, "/1.0/instances/c1?recursion=1"),
                try await test.get(Instance.self, "/1.0/instances/c2?recursion=1")
            )
            #expect(made.config["user.a"] == "b")
            #expect(made.config["volatile.uuid"] != old.config["volatile.uuid"])
            #expect(made.snapshots?.map(\.name) == ["s0"])
            #expect(made.createdAt == old.createdAt)
        }
    }
}
