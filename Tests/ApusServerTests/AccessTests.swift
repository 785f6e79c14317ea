import ApusAPI
import ApusCore
import ApusServer
import Certificates
import Foundation
import Glibc
import Testing

@Suite("Who may do what over the network", .enabled(if: geteuid() == 0), .timeLimit(.minutes(2)), .serialized)
struct AccessTests {
    /// What strangers may ask for. A route that is not here has to be closed to them.
    static let open: Set = [
        "GET /", "GET /1.0", "POST /1.0/certificates", "GET /1.0/images", "GET /1.0/images/aliases/{name*}",
        "GET /1.0/images/{fingerprint}", "GET /1.0/images/{fingerprint}/export",
        "GET /1.0/operations/{id}/websocket",
        // The two ends of a move ask each other, with its secret; of a move that is not known there is nothing to tell.
        "POST /1.0/moves/{id}/verdict",
    ]

    @Test("Strangers get what LXD gives them, and nothing else of all there is")
    func strangers() async throws {
        try await TestDaemon.with { test in
            let network = try await test.openNetwork()
            let routes = APIServer.access(test.daemon)
            #expect(routes.count > 80)
            #expect(Set(routes.filter { $0.access == "anyone" }.map(\.route)) == Self.open)
            let stranger = try network.client()
            for (route, access) in routes where access != "anyone" {
                let reply = try await stranger.request(route: route)
                #expect(reply.status == 403, "\(route)")
                #expect(try reply.error() == "not authorized", "\(route)")
            }
            for path in [
                "/1.0/nothing", "/x", "/1.0/containers/c1", "//1.0//instances", "/1.0/instances/%2e%2e",
            ] {
                #expect(try await stranger.request("GET", path).status == 403, "\(path)")
            }
        }
    }

    @Test("What is open tells strangers what everybody may know")
    func open() async throws {
        try await TestDaemon.with { test in
            try await test.daemon.update(
                config: ["user.secret": "42", "core.trust_password": "long enough"], merge: true, ifMatch: nil
            )
            let network = try await test.openNetwork()
            let stranger = try network.client()
            #expect(try await stranger.request("GET", "/").text.contains("/1.0"))
            let server = try await stranger.request("GET", "/1.0")
            let shown = try #require(
                try JSONSerialization.jsonObject(with: server.body) as? [String: Any])
            let metadata = try #require(shown["metadata"] as? [String: Any])
            #expect(
                Set(metadata.keys) == [
                    "api_extensions", "api_status", "api_version", "auth", "auth_methods", "public",
                ])
            #expect(metadata["auth"] as? String == "untrusted")
            #expect(
                try await stranger.request("GET", "/1.0/images?recursion=1").text.contains("\"metadata\":[]"))
            let image = String(repeating: "a", count: 64)
            for path in [
                "/1.0/images/\(image)", "/1.0/images/\(image)/export?secret=", "/1.0/images/aliases/x",
            ] {
                #expect(try await stranger.request("GET", path).status == 404, "\(path)")
            }
            // Sockets open by their secret alone.
            #expect(try await stranger.request("GET", "/1.0/operations/x/websocket?secret=y").status == 403)
            // A stranger cannot have the daemon fetch something for it.
            let server2 = try await stranger.request("GET", "/1.0/images?apus_server=https://127.0.0.1:1")
            #expect(server2.status == 200)
        }
    }

    @Test("A client that is trusted may do everything but what belongs to the machine itself")
    func trusted() async throws {
        try await TestDaemon.with { test in
            let network = try await test.openNetwork()
            let client = try network.client(named: "tom")
            #expect(try await client.request("GET", "/1.0/profiles").status == 403)
            let added = try await test.request(
                "POST", "/1.0/certificates", try client.post(name: "tom"))
            #expect(added.status == 201)
            let location = try #require(added.headers["location"])
            let server = try await client.request("GET", "/1.0")
            #expect(server.text.contains("\"auth\":\"trusted\""))
            #expect(try await client.request("GET", "/1.0/profiles").status == 200)
            #expect(try await client.request("GET", "/1.0/nothing").status == 404)
            #expect(try await client.request("PUT", "/internal/shutdown").status == 403)
            #expect(try await client.request("GET", "/internal/ready").status == 403)
            #expect(try await test.request("DELETE", location).status == 200)
            #expect(try await client.request("GET", "/1.0/profiles").status == 403)
        }
    }

    @Test("Certificates: list, prefix, rename with ETag, refusals")
    func certificates() async throws {
        try await TestDaemon.with { test in
            let network = try await test.openNetwork()
            let client = try network.client(named: "tom")
            #expect(
                try await test.request("POST", "/1.0/certificates", try client.post(name: "tom")).status
                    == 201)
            let again = try await test.refused("POST", "/1.0/certificates", try client.post(name: "tom"))
            #expect(again.errorCode == 409)
            let list = try await test.get([ApusAPI.Certificate].self, "/1.0/certificates?recursion=1")
            let fingerprint = try #require(list.first?.fingerprint)
            #expect(list.count == 1)
            #expect(fingerprint == client.identity?.certificate.fingerprint)
            #expect(
                try await test.get([String].self, "/1.0/certificates") == ["/1.0/certificates/\(fingerprint)"]
            )
            let short = "/1.0/certificates/\(fingerprint.prefix(8))"
            let read = try await test.request("GET", short)
            let tag = try #require(read.headers["etag"])
            let renamed = try await test.request(
                "PUT", short, #"{"name":"jerry","type":"client"}"#, headers: ["If-Match": tag])
            #expect(renamed.status == 200)
            let old = try await test.refused(
                "PUT", short, #"{"name":"spike"}"#, headers: ["If-Match": tag])
            #expect(old.errorCode == 412)
            #expect(try await test.request("PATCH", short, #"{"name":"butch"}"#).status == 200)
            #expect(try await test.get(ApusAPI.Certificate.self, short).name == "butch")
            for body in [
                #"{"restricted":true}"#, #"{"projects":["p"]}"#, #"{"type":"metrics"}"#,
                #"{"name":"a\u0000b"}"#,
                #"{"certificate":"x"}"#,
            ] {
                #expect(try await test.refused("PATCH", short, body).errorCode == 400, "\(body)")
                #expect(try await test.refused("POST", "/1.0/certificates", body).errorCode == 400, "\(body)")
            }
            #expect(try await test.refused("POST", "/1.0/certificates", "{}").errorCode == 400)
            for name in ["zz", "0000", ""] {
                #expect(try await test.refused("GET", "/1.0/certificates/\(name)x").errorCode == 404)
            }
        }
    }
}
