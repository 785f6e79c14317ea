import ApusAPI
import ApusCore
import ApusServer
import Foundation
import Glibc
import Testing

@Suite("Routes over the socket", .enabled(if: geteuid() == 0), .timeLimit(.minutes(1)), .serialized)
struct RouteTests {
    @Test("The server says what it is")
    func server() async throws {
        try await TestDaemon.with { test in
            #expect(try await test.get([String].self, "/") == ["/1.0"])
            let server = try await test.get(Server.self, "/1.0")
            #expect(server.auth == "trusted")
            #expect(server.apiExtensions.contains("apus_checkpoint"))
            #expect(server.environment?.server == "apus")
            #expect(try await test.request("GET", "/internal/ready").status == 200)
            var status = stat()
            #expect(lstat(test.socket, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o660)
        }
    }

    @Test("What is not there, not allowed or not understood has LXD's shapes")
    func errors() async throws {
        try await TestDaemon.with { test in
            #expect(try await test.refused("GET", "/1.0/nothing").errorCode == 404)
            #expect(try await test.refused("GET", "/1.0/instances/none").error == "Instance not found")
            #expect(try await test.refused("GET", "/1.0/containers/none/state").errorCode == 404)
            #expect(try await test.refused("DELETE", "/1.0/instances").errorCode == 501)
            #expect(try await test.refused("POST", "/1.0/instances", "{nonsense").errorCode == 400)
            #expect(try await test.refused("POST", "/1.0/instances", #"{"name":5}"#).errorCode == 400)
            let name = try await test.refused(
                "POST", "/1.0/instances", #"{"name":"a_b","source":{"type":"none"}}"#)
            #expect(
                name.error
                    == "Invalid instance name: Name can only contain alphanumeric and hyphen characters")
            #expect(try await test.refused("GET", "/1.0/operations/none").error == "Operation not found")
            #expect(try await test.refused("GET", "/1.0/events").errorCode == 400)
        }
    }

    @Test("Profiles: make, read, edit with ETag, delete")
    func profiles() async throws {
        try await TestDaemon.with { test in
            let made = try await test.request(
                "POST", "/1.0/profiles", #"{"name":"small","config":{"limits.memory":"64MiB"}}"#)
            #expect(made.status == 201)
            #expect(made.headers["location"] == "/1.0/profiles/small")
            #expect(try await test.get([String].self, "/1.0/profiles").count == 2)
            let read = try await test.request("GET", "/1.0/profiles/small")
            let tag = try #require(read.headers["etag"])
            let old = try await test.refused(
                "PUT", "/1.0/profiles/small", #"{"config":{}}"#, headers: ["If-Match": "\"other\""])
            #expect(old.errorCode == 412)
            let edited = try await test.request(
                "PUT", "/1.0/profiles/small", #"{"config":{"limits.cpu":"1"}}"#, headers: ["If-Match": tag])
            #expect(edited.status == 200)
            let patched = try await test.request(
                "PATCH", "/1.0/profiles/small", #"{"config":{"limits.processes":"9"}}"#)
            #expect(patched.status == 200)
            let profile = try await test.get(Profile.self, "/1.0/profiles/small")
            #expect(profile.config == ["limits.cpu": "1", "limits.processes": "9"])
            let wrong = try await test.refused(
                "PUT", "/1.0/profiles/small", #"{"config":{"limits.cpu":"x"}}"#)
            #expect(wrong.error.contains("limits.cpu"))
            #expect(try await test.refused("POST", "/1.0/profiles", #"{"name":"small"}"#).errorCode == 409)
            #expect(try await test.request("DELETE", "/1.0/profiles/small").status == 200)
            #expect(try await test.refused("DELETE", "/1.0/profiles/default").errorCode == 400)
        }
    }

    @Test("A pool and an empty container: create, edit, snapshot, rename, delete")
    func container() async throws {
        try await TestDaemon.with { test in
            let none = try await test.refused(
                "POST", "/1.0/instances", #"{"name":"c1","source":{"type":"none"}}"#)
            #expect(none.error.contains("admin init"))
            #expect(
                try await test.request("POST", "/1.0/storage-pools", #"{"name":"default","driver":"dir"}"#)
                    .status == 201)
            try await test.run("POST", "/1.0/instances", #"{"name":"c1","source":{"type":"none"}}"#)
            #expect(try await test.get([String].self, "/1.0/containers") == ["/1.0/containers/c1"])
            let full = try await test.get([Instance].self, "/1.0/instances?recursion=2")
            #expect(full.first?.state?.statusCode == 102)
            #expect(full.first?.snapshots?.isEmpty == true)
            #expect(
                try await test.refused("POST", "/1.0/instances", #"{"name":"c1","source":{"type":"none"}}"#)
                    .errorCode == 409)

            let read = try await test.request("GET", "/1.0/instances/c1")
            let tag = try #require(read.headers["etag"])
            try await test.run("PATCH", "/1.0/instances/c1", #"{"config":{"user.a":"b"}}"#)
            let old = try await test.refused(
                "PUT", "/1.0/instances/c1", #"{"config":{}}"#, headers: ["If-Match": tag])
            #expect(old.errorCode == 412)
            let refused = try await test.refused(
                "PATCH", "/1.0/instances/c1", #"{"config":{"volatile.uuid":"x"}}"#)
            #expect(refused.errorCode == 400)
            #expect(
                try await test.refused("PUT", "/1.0/instances/c1/state", #"{"action":"fly"}"#).error
                    == "Unknown action: 'fly'")
            #expect(
                try await test.refused("PUT", "/1.0/instances/c1/state", #"{"action":"stop"}"#).errorCode
                    == 400)

            try await test.run("POST", "/1.0/instances/c1/snapshots", "{}")
            #expect(
                try await test.get([InstanceSnapshot].self, "/1.0/instances/c1/snapshots?recursion=1").map(
                    \.name) == ["snap0"])
            try await test.run("POST", "/1.0/instances/c1/snapshots/snap0", #"{"name":"s1"}"#)
            try await test.run("PUT", "/1.0/instances/c1", #"{"restore":"s1"}"#)
            try await test.run("POST", "/1.0/instances/c1", #"{"name":"c2"}"#)
            #expect(try await test.get(Instance.self, "/1.0/instances/c2").config["user.a"] == "b")
            try await test.run("DELETE", "/1.0/instances/c2/snapshots/s1")
            try await test.run("DELETE", "/1.0/instances/c2")
            #expect(try await test.get([String].self, "/1.0/instances").isEmpty)
        }
    }

    @Test("Pools are edited, measured and refused; volumes come and go")
    func storage() async throws {
        try await TestDaemon.with { test in
            let pools = "/1.0/storage-pools"
            for (body, words) in [
                (#"{"name":"p1","driver":"zfs"}"#, "btrfs and dir"),
                (#"{"name":"p1","driver":"dir","config":{"size":"1GiB"}}"#, "size"),
                (#"{"name":"p1","driver":"dir","config":{"source":"here"}}"#, "absolute"),
                (#"{"name":"p1","driver":"btrfs","config":{"size":"1MiB"}}"#, "256MiB"),
                (#"{"name":"p1","driver":"dir","config":{"wings":"2"}}"#, "wings"),
                (#"{"name":"p/1","driver":"dir"}"#, "name"),
            ] {
                let refused = try await test.refused("POST", pools, body)
                #expect(
                    refused.errorCode == 400 && refused.error.contains(words), "\(body): \(refused.error)")
            }
            #expect(try await test.request("POST", pools, #"{"name":"p1","driver":"dir"}"#).status == 201)
            let p1 = try await test.get(StoragePool.self, pools + "/p1")
            let source = try #require(p1.config["source"])
            let taken = #"{"name":"p2","driver":"dir","config":{"source":"\#(source)/in"}}"#
            #expect(try await test.refused("POST", pools, taken).errorCode == 409)
            let room = try await test.get(StoragePoolResources.self, pools + "/p1/resources")
            #expect(room.space.total > 0)
            let patched = try await test.request("PATCH", pools + "/p1", #"{"config":{"user.a":"b"}}"#)
            #expect(patched.status == 200)
            let moved = try await test.refused("PATCH", pools + "/p1", #"{"config":{"source":"/tmp/x"}}"#)
            #expect(moved.error.contains("cannot be changed"))

            let volumes = pools + "/p1/volumes"
            #expect(try await test.request("POST", volumes + "/custom", #"{"name":"v1"}"#).status == 201)
            #expect(try await test.refused("POST", volumes + "/custom", #"{"name":"v1"}"#).errorCode == 409)
            let limited = try await test.refused(
                "POST", volumes, #"{"name":"v2","type":"custom","config":{"size":"1GiB"}}"#)
            #expect(limited.error.contains("dir"))
            #expect(try await test.get([String].self, volumes) == [volumes + "/custom/v1"])
            let read = try await test.request("GET", volumes + "/custom/v1")
            let tag = try #require(read.headers["etag"])
            #expect(
                try await test.request("PATCH", volumes + "/custom/v1", #"{"description":"d"}"#).status == 200
            )
            let old = try await test.refused(
                "PUT", volumes + "/custom/v1", "{}", headers: ["If-Match": tag])
            #expect(old.errorCode == 412)
            #expect(
                try await test.request("POST", volumes + "/custom/v1", #"{"name":"v3"}"#).status == 201)
            #expect(try await test.get(StorageVolume.self, volumes + "/custom/v3").description == "d")
            #expect(try await test.refused("DELETE", pools + "/p1").error.contains("in use"))
            #expect(try await test.request("DELETE", volumes + "/custom/v3").status == 200)
            #expect(try await test.request("DELETE", pools + "/p1").status == 200)
            #expect(try await test.get([String].self, pools).isEmpty)
        }
    }

    @Test("Requests that are too large are refused, and the daemon serves on")
    func hostile() async throws {
        try await TestDaemon.with { (test: TestDaemon) async throws -> Void in
            let big = #"{"name":""# + String(repeating: "a", count: 2 << 20) + #""}"#
            #expect(try await test.refused("POST", "/1.0/profiles", big).errorCode == 413)
            let header = try? await test.raw(
                Array(
                    "GET / HTTP/1.1\r\nHost: x\r\nA: \(String(repeating: "b", count: 200_000))\r\n\r\n".utf8))
            #expect(header.map { !String(decoding: $0, as: UTF8.self).contains("200 OK") } ?? true)
            let nonsense = try? await test.raw(Array("\0\0\0\0 what\r\n\r\n".utf8))
            #expect(nonsense.map { !String(decoding: $0, as: UTF8.self).contains("200 OK") } ?? true)
            let deep = String(repeating: "[", count: 100_000)
            #expect(try await test.refused("POST", "/1.0/profiles", deep).errorCode == 400)
            #expect(try await test.get([String].self, "/") == ["/1.0"])
        }
    }

    @Test("A websocket needs a good secret; events arrive over one")
    func webSockets() async throws {
        try await TestDaemon.with { test in
            let upgrade = [
                "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            ]
            let refused = try await test.refused(
                "GET", "/1.0/operations/x/websocket?secret=y", headers: upgrade)
            #expect(refused.errorCode == 404)
            let types = try await test.refused("GET", "/1.0/events?type=gossip", headers: upgrade)
            #expect(types.errorCode == 400)
            // An unmasked frame breaks the protocol: the daemon says so and closes.
            let head =
                "GET /1.0/events HTTP/1.1\r\nHost: x\r\n" + upgrade.map { "\($0): \($1)\r\n" }.joined()
                + "\r\n"
            let reply = try await test.raw(Array(head.utf8) + [0x81, 0x02, 0x68, 0x69])
            #expect(String(decoding: reply.prefix(12), as: UTF8.self) == "HTTP/1.1 101")
            let close = try #require(reply.indices.last { $0 + 3 < reply.count && reply[$0] == 0x88 })
            #expect(Int(reply[close + 2]) << 8 | Int(reply[close + 3]) == 1002)
        }
    }
}

extension TestDaemon {
    /// Runs an operation to its good end.
    func run(_ method: String, _ path: String, _ body: String = "") async throws {
        let reply = try await request(method, path, body)
        #expect(reply.status == 202)
        let begun = try #require(
            try APIJSON.decode(Response<ApusAPI.Operation>.self, from: reply.body).metadata)
        let ended = try await get(ApusAPI.Operation.self, "/1.0/operations/\(begun.id)/wait?timeout=30")
        #expect(ended.state == .success, "\(ended.err)")
    }
}

@Suite("The reference of the REST API", .enabled(if: geteuid() == 0), .serialized)
struct RestReferenceTests {
    @Test("docs/reference/rest-api.md has every route")
    func table() async throws {
        try await TestDaemon.with { test in
            let table = APIServer.reference(test.daemon)
            let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("../../docs/reference/rest-api.md")
            let text = try String(contentsOf: file, encoding: .utf8)
            #expect(text.contains(table), "replace the table in docs/reference/rest-api.md by:\n\(table)")
            for name in ServerInfo.extensions {
                #expect(text.contains("`\(name)`"), "\(name) is not explained")
            }
        }
    }
}
