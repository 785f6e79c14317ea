import ApusAPI
import ApusClient
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

/// What goes over the wire for the client's calls, and how it takes the answers.
struct RequestTests {
    @Test func asksAndDecodes() async throws {
        let server = TestServer(answer: { seen in
            #expect(seen.method == .GET)
            #expect(seen.uri == "/1.0/instances/c1?recursion=1")
            #expect(seen.headers.first(name: "Connection") == "close")
            return .sync(#"{"name":"c1","status":"Running","status_code":103,"state":{"pid":42}}"#)
        })
        try await server.run { path in
            let instance = try await Client(.unixSocket(path: path)).instance("c1", full: true)
            #expect(instance.name == "c1")
            #expect(instance.state?.pid == 42)
        }
    }

    @Test func refusalsCarryTheDaemonsWords() async throws {
        let server = TestServer(answer: { _ in .error(409, "busy: snapshotting c1") })
        try await server.run { path in
            await #expect(throws: ClientError(.refused(status: 409), "busy: snapshotting c1")) {
                try await Client(.unixSocket(path: path)).instance("c1")
            }
        }
    }

    @Test func answersThatAreNotJSONAreRefusedWithTheirStatus() async throws {
        let server = TestServer(answer: { _ in Answer(status: 502, body: ByteBuffer(string: "<html>")) })
        try await server.run { path in
            let error = await #expect(throws: ClientError.self) {
                try await Client(.unixSocket(path: path)).server()
            }
            #expect(error?.code == .refused(status: 502))
            #expect(error?.message.contains("<html>") == true)
        }
    }

    @Test func namesCannotLeaveTheirPlaceInThePath() async throws {
        let server = TestServer(answer: { seen in
            #expect(seen.uri == "/1.0/instances/a%2F..%2F..%3Fx/state")
            return .error(404, "Instance not found")
        })
        try await server.run { path in
            let error = await #expect(throws: ClientError.self) {
                try await Client(.unixSocket(path: path)).instanceState("a/../..?x")
            }
            #expect(error?.isNotFound == true)
        }
    }

    @Test func bodiesAreJSONWithALength() async throws {
        let server = TestServer(answer: { seen in
            #expect(seen.method == .PUT)
            #expect(seen.path == "/1.0/instances/c1/state")
            #expect(seen.headers.first(name: "Content-Type") == "application/json")
            #expect(seen.headers.first(name: "Content-Length") == String(seen.body.readableBytes))
            #expect(seen.text.contains(#""action":"stop""#))
            #expect(seen.text.contains(#""stateful":true"#))
            return .operation(#"{"id":"x","class":"task","status":"Success","status_code":200}"#)
        })
        try await server.run { path in
            let put = InstanceStatePut(action: "stop", stateful: true)
            let operation = try await Client(.unixSocket(path: path)).changeState(of: "c1", put)
            #expect(operation.state == .success)
        }
    }

    @Test func editsSendTheTagBack() async throws {
        let server = TestServer(answer: { seen in
            if seen.method == .GET {
                var answer = Answer.sync(#"{"name":"default","config":{}}"#)
                answer.headers.add(name: "ETag", value: "\"abc\"")
                return answer
            }
            #expect(seen.headers.first(name: "If-Match") == "\"abc\"")
            return .error(412, "somebody else changed it")
        })
        try await server.run { path in
            let client = Client(.unixSocket(path: path))
            let (profile, etag) = try await client.getTagged("/1.0/profiles/default", as: Profile.self)
            #expect(profile.name == "default")
            await #expect(throws: ClientError(.refused(status: 412), "somebody else changed it")) {
                try await client.updateProfile("default", ProfilePut(), etag: etag)
            }
        }
    }

    @Test func largeBodiesStreamBothWays() async throws {
        let piece = ByteBuffer(repeating: 7, count: 100_000)
        let server = TestServer(answer: { seen in
            #expect(seen.headers.first(name: "Transfer-Encoding") == "chunked")
            #expect(seen.headers.first(name: "X-LXD-mode") == "0640")
            #expect(seen.headers.first(name: "X-LXD-uid") == "1000")
            #expect(seen.headers.first(name: "X-LXD-type") == "file")
            #expect(seen.uri == "/1.0/instances/c1/files?path=%2Froot%2Fa%20b")
            return .sync("\(seen.body.readableBytes)")
        })
        try await server.run { path in
            let left = Mutex(50)
            try await Client(.unixSocket(path: path)).pushFile(
                "/root/a b", of: "c1", attributes: FileAttributes(uid: 1000, mode: 0o640)
            ) {
                left.withLock { left in
                    left -= 1
                    return left >= 0 ? piece : nil
                }
            }
        }
    }

    @Test func filesComeWithTheirAttributes() async throws {
        let server = TestServer(answer: { seen in
            switch seen.uri {
            case let uri where uri.hasSuffix("dir"):
                var answer = Answer.sync(#"["a","b"]"#)
                answer.headers.add(contentsOf: ["X-LXD-type": "directory", "X-LXD-mode": "0755"])
                return answer
            case let uri where uri.hasSuffix("link"):
                return Answer(headers: ["X-LXD-type": "symlink"], body: ByteBuffer(string: "/etc/passwd"))
            default:
                return Answer(
                    headers: ["X-LXD-type": "file", "X-LXD-mode": "04755", "X-LXD-uid": "3"],
                    body: ByteBuffer(string: "hello"))
            }
        })
        try await server.run { path in
            let client = Client(.unixSocket(path: path))
            let text = try await client.file("/f", of: "c1") { file in
                guard case .file(let attributes, let body) = file else { return "no file" }
                #expect(attributes == FileAttributes(uid: 3, mode: 0o4755))
                return String(buffer: try await body.collect())
            }
            #expect(text == "hello")
            let names = try await client.file("/dir", of: "c1") { file -> [String] in
                guard case .directory(_, let names) = file else { return [] }
                return names
            }
            #expect(names == ["a", "b"])
            let target = try await client.file("/link", of: "c1") { file in
                guard case .symlink(_, let target) = file else { return "" }
                return target
            }
            #expect(target == "/etc/passwd")
        }
    }

    @Test func tellsWhyNobodyAnswers() async throws {
        let error = await #expect(throws: ClientError.self) {
            try await Client(.unixSocket(path: "/nowhere/unix.socket")).server()
        }
        #expect(error?.code == .unreachable)
        #expect(
            error?.message
                == "cannot reach apusd at /nowhere/unix.socket: there is no such socket. Is it running? "
                + "Start it with: APUS_DIR=/nowhere apusd")
        #expect(
            ClientError.socket("/var/lib/apus/unix.socket", errno: 111, reason: "x").message.hasSuffix(
                "systemctl start apusd"))
        let denied = ClientError.socket("/var/lib/apus/unix.socket", errno: 13, reason: "Permission denied")
        #expect(denied.code == .notPermitted)
        #expect(denied.message.contains("group apus"))
    }

    @Test(arguments: [
        ("attachment;filename=abc.tar.xz", "abc.tar.xz"), ("attachment; filename=\"a b.tar\"", "a b.tar"),
        ("inline;filename=../../etc/passwd", "passwd"), ("attachment;filename=..", nil), ("attachment", nil),
        (nil, nil),
    ])
    func filenamesOfDownloads(header: String?, name: String?) {
        #expect(Client.filename(inDisposition: header) == name)
    }
}
