import Foundation
import Testing

extension Integration {
    /// Requests that no client would send.
    @Suite struct HostileRequests {
        @Test(arguments: [
            "..", ".", "a/b", "../../etc", "-leading", "trailing-", "a b", "a_b", "", "ünïcode", "a\u{0}b",
            "a\nb",
            String(repeating: "a", count: 64), "a.b", "$(reboot)",
        ])
        func namesOfContainersAreNames(name: String) throws {
            let host = try Integration.host
            let body = try JSONSerialization.data(withJSONObject: ["name": name, "source": ["type": "none"]])
            let answer = try host.connection().request(
                "POST", "/1.0/containers", String(decoding: body, as: UTF8.self))
            if name.isEmpty {
                // LXD makes one up; refusing is as good. Nothing may stay behind, so it has to be there first.
                if let operation = try JSON(answer.body)["operation"].string, !operation.isEmpty {
                    _ = try host.query(operation + "/wait")
                }
                host.deleteContainers()
            } else {
                #expect(answer.status == 400, "\(name.debugDescription): \(answer.text)")
            }
            #expect(try JSON(answer.body)["type"].exists)
        }

        @Test func namesOfSnapshotsAreNames() throws {
            try withContainer(.busybox) { host, name in
                for snapshot in [
                    "..", ".", "a/b", "../../../x", "a\u{0}b", " ", String(repeating: "s", count: 300), "-x/",
                ] {
                    let body = try JSONSerialization.data(withJSONObject: [
                        "name": snapshot, "stateful": false,
                    ])
                    let answer = try host.connection().request(
                        "POST", "/1.0/containers/\(name)/snapshots", String(decoding: body, as: UTF8.self))
                    #expect(answer.status == 400, "\(snapshot.debugDescription): \(answer.text)")
                }
                #expect(try host.query("/1.0/containers/\(name)/snapshots").array.isEmpty)
            }
        }

        @Test func bodiesThatAreNoRequest() throws {
            let host = try Integration.host
            let deep = String(repeating: "[", count: 200_000)
            for body in [
                "", "{", "null", "[]", "\"x\"", "{\"name\": 7}", "{\"name\":\"ok\",\"config\":[]}", deep,
                "{\"name\":\"ok\",\"source\":{\"type\":\"nonsense\"}}", "\u{FEFF}{}",
                "{\"name\":\"ok\",\"config\":{\"no.such.key\":\"1\"}}",
            ] {
                let answer = try host.connection().request("POST", "/1.0/containers", body)
                #expect(
                    (400..<500).contains(answer.status),
                    "\(body.prefix(60)): \(answer.status) \(answer.text.prefix(200))")
                #expect(try JSON(answer.body)["type"].string == "error")
            }
            #expect(try host.status(of: "ok") == nil)
        }

        @Test func aBodyWithoutEndIsCutOff() throws {
            let host = try Integration.host
            let before = residentMegabytes(host)
            let connection = try host.connection()
            connection.send(
                "POST /1.0/containers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            let chunk = "100000\r\n" + String(repeating: "[", count: 0x100000) + "\r\n"
            for _ in 0..<300 { connection.send(chunk) }
            // It has answered, or closed; it has not taken 300 MB.
            let said = String(decoding: try connection.receiveToEnd(limit: .seconds(10)), as: UTF8.self)
            #expect(said.isEmpty || said.hasPrefix("HTTP/1.1 4"), "\(said.prefix(200))")
            #expect(residentMegabytes(host) - before < 100, "the daemon kept it in memory")
            try expectAlive(host)
        }

        @Test func whatIsNoHTTP() throws {
            let host = try Integration.host
            for bytes in [
                "\r\n\r\n", "GET\r\n\r\n", "GET /1.0\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}",
                "GET /1.0 HTTP/9.9\r\n\r\n",
                "POST /1.0/containers HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                "POST /1.0/containers HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nabcde",
                "GET /1.0 HTTP/1.1\r\nHost: x\r\nX: " + String(repeating: "a", count: 1 << 20) + "\r\n\r\n",
            ] {
                let connection = try host.connection()
                connection.send(bytes)
                _ = try? connection.receive(limit: .milliseconds(500))
            }
            // Many that say nothing at all.
            let silent = try (0..<200).map { _ in try host.connection() }
            try expectAlive(host)
            #expect(silent.count == 200)
        }

        @Test func pathsStayInTheAPI() throws {
            let host = try Integration.host
            for path in [
                "/1.0/containers/..%2f..%2fetc", "/1.0/containers/%2e%2e", "/1.0/containers/../../etc/passwd",
                "/1.0/../../etc/passwd",
                "/1.0/images/..%2f..%2fapus.db/export", "/1.0/images/%00/export",
                "/1.0/containers/x/logs/..%2f..%2f..%2fapus.db",
                "/1.0/operations/..%2fx", "/1.0/containers/\(String(repeating: "a", count: 5000))",
            ] {
                let answer = try host.connection().get(path)
                #expect(answer.status == 404 || answer.status == 400, "\(path): \(answer.status)")
                #expect(!answer.text.contains("root:"))
                #expect(!answer.text.contains("SQLite format"))
            }
            #expect(try host.connection().request("BREW", "/1.0").status >= 400)
            #expect(try host.connection().request("DELETE", "/1.0").status >= 400)
        }

        @Test func logFilesAreTheContainersOwn() throws {
            try withContainer(.busybox) { host, name in
                for file in ["..%2f..%2f..%2fapus.db", "%2fetc%2fpasswd", "..", "console.log%00.png"] {
                    let answer = try host.connection().get("/1.0/containers/\(name)/logs/\(file)")
                    #expect(answer.status == 404 || answer.status == 400, "\(file): \(answer.status)")
                }
            }
        }

        private func residentMegabytes(_ host: TestHost) -> Int {
            guard let pid = host.daemon?.pid else { return 0 }
            let line = text(of: "/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix("VmRSS") }
            return (line.flatMap { Int($0.filter(\.isNumber)) } ?? 0) / 1024
        }
    }
}

/// The daemon answers as ever.
func expectAlive(_ host: TestHost, sourceLocation: SourceLocation = #_sourceLocation) throws {
    #expect(host.daemon?.isRunning == true, "the daemon has ended", sourceLocation: sourceLocation)
    #expect(try host.query("/1.0")["api_status"].string == "stable", sourceLocation: sourceLocation)
}
