import Foundation
import Glibc
import Testing

extension Integration {
    /// Another host, from the first words with it to the work on it.
    @Suite struct RemoteHosts {
        @Test func joinsByTokenAndWorksThere() throws {
            try withTwoHosts { hosts in
                let (near, far) = (hosts.near, hosts.far)
                let token = try hosts.token()
                try near.apus("remote", "add", "far", token)
                let listed = try near.apus("remote", "list", "--format", "csv").text
                #expect(listed.contains("far,https://\(hosts.address),apus,NO,NO"))
                // A token is good once.
                let again = try near.apus("remote", "add", "far2", token, expecting: 0)
                #expect(again.code == 0, "who is trusted already needs no token")
                try near.apus("remote", "remove", "far2")

                let image = try far.image(.busybox)
                try near.apus("launch", "far:\(image)", "far:c1")
                defer { _ = try? far.apus("delete", "c1", "--force", expecting: nil) }
                #expect(try near.apus("list", "far:", "--format", "csv").text.contains("c1,RUNNING"))
                #expect(try !near.apus("list", "--format", "csv").text.contains("c1,"))

                let code = try near.apus(
                    "exec", "far:c1", "--", "sh", "-c", "cat; echo err >&2; exit 7",
                    input: .bytes(Data("in and out".utf8)), expecting: 7)
                #expect(code.text == "in and out")
                #expect(code.complaint.contains("err"))

                try workWithFiles(hosts)
                try workWithEverythingElse(hosts)
            }
        }

        private func workWithFiles(_ hosts: TwoHosts) throws {
            let folder = "\(TestHost.scratch)/\(Integration.freshName("remote"))"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { _ = try? run(["rm", "-rf", "--one-file-system", folder]) }
            // More than any buffer on the way, and not all the same.
            let bytes = Data((0..<5_000_003).map { UInt8(truncatingIfNeeded: $0 &* 131 ^ $0 >> 7) })
            try bytes.write(to: URL(filePath: folder + "/data"))
            try hosts.near.apus("file", "push", folder + "/data", "far:c1/root/data", "--mode", "0640")
            try hosts.near.apus("file", "pull", "far:c1/root/data", folder + "/back")
            #expect(try Data(contentsOf: URL(filePath: folder + "/back")) == bytes)
            try hosts.near.apus("file", "delete", "far:c1/root/data")
            let gone = try hosts.near.apus("file", "pull", "far:c1/root/data", "-", expecting: 1)
            #expect(!gone.complaint.isEmpty)
        }

        private func workWithEverythingElse(_ hosts: TwoHosts) throws {
            let near = hosts.near
            try near.apus("config", "set", "far:c1", "user.note", "there")
            #expect(try near.apus("config", "get", "far:c1", "user.note").text == "there")
            try near.apus("config", "set", "far:", "images.remote_cache_expiry", "3")
            #expect(try hosts.far.apus("config", "get", "images.remote_cache_expiry").text == "3")
            try near.apus("profile", "create", "far:web")
            #expect(try near.apus("profile", "list", "far:", "--format", "csv").text.contains("web,"))
            try near.apus("snapshot", "far:c1", "s1")
            try near.apus("restore", "far:c1", "s1")
            #expect(try near.apus("info", "far:c1").text.contains("s1"))
            #expect(try near.apus("storage", "list", "far:", "--format", "csv").text.contains("default,dir"))
            #expect(try near.apus("operation", "list", "far:").code == 0)
            #expect(try near.apus("query", "far:/1.0/containers").text.contains("/c1"))
            let mixed = try near.apus("network", "attach", "far:apusbr0", "local:c1", expecting: 1)
            #expect(mixed.complaint.contains("is not on far"))

            let monitor = try near.begin("monitor", "far:", "--type", "lifecycle", "--format", "json")
            defer { monitor.signal(SIGKILL) }
            // It is subscribed some time after it has begun; events before that are not for it.
            try eventually("an event of the far host", limit: .seconds(20)) {
                try near.apus("config", "set", "far:c1", "user.note", "x\(UInt32.random(in: 0...1_000_000))")
                return (try? monitor.wait(limit: .milliseconds(300), for: "an event") { !$0.isEmpty }) != nil
            }
            #expect(monitor.outputSoFar.contains("c1"))

            try near.apus("remote", "switch", "far")
            #expect(try near.apus("list", "--format", "csv").text.contains("c1,RUNNING"))
            #expect(try near.apus("list", "local:", "--format", "csv").text.contains("c1,RUNNING") == false)
            let kept = try near.apus("remote", "remove", "far", expecting: 1)
            #expect(kept.complaint.contains("default remote"))
            try near.apus("remote", "switch", "local")
            try near.apus("stop", "far:c1", "--force")
            try near.apus("delete", "far:c1")
        }

        @Test func joinsByPasswordOnceTheCertificateIsAccepted() throws {
            try withTwoHosts { hosts in
                try hosts.far.apus("config", "set", "core.trust_password", "open sesame")
                let url = "https://\(hosts.address)"
                let fingerprint =
                    try hosts.far.query("/1.0")["environment"]["certificate_fingerprint"].string ?? "?"
                let unknown = try hosts.near.apus("remote", "add", "far", url, expecting: 1)
                #expect(unknown.complaint.contains(fingerprint))
                #expect(unknown.complaint.contains("--accept-certificate"))
                let closed = try hosts.near.apus(
                    "remote", "add", "far", url, "--accept-certificate", expecting: 1)
                #expect(closed.complaint.contains("--password"))
                let wrong = try hosts.near.apus(
                    "remote", "add", "far", url, "--accept-certificate", "--password", "wrong", expecting: 1)
                #expect(!wrong.complaint.isEmpty)
                #expect(try !hosts.near.apus("remote", "list", "--format", "csv").text.contains("far,"))
                try hosts.near.apus(
                    "remote", "add", "far", url, "--accept-certificate", "--password", "open sesame")
                #expect(try hosts.near.apus("info", "far:").text.contains("trusted"))
            }
        }

        @Test func aChangedCertificateIsRefused() throws {
            try withTwoHosts { hosts in
                try hosts.join()
                try hosts.far.stopDaemon()
                for file in ["server.crt", "server.key"] {
                    try FileManager.default.removeItem(atPath: "\(hosts.far.folder)/\(file)")
                }
                try hosts.far.startDaemon()
                let refused = try hosts.near.apus("list", "far:", expecting: 1)
                #expect(refused.complaint.contains("has changed"))
                #expect(refused.complaint.contains("apus remote remove far"))
            }
        }

        @Test func whatGoesWrongIsToldInWords() throws {
            try withTwoHosts { hosts in
                let near = hosts.near
                let nobody = try near.apus("list", "nobody:", expecting: 1)
                #expect(nobody.complaint.contains("there is no remote \"nobody\""))
                try hosts.join()
                let fingerprint = try #require(
                    try hosts.far.query("/1.0/certificates?recursion=1").array.first?["fingerprint"].string)
                try hosts.far.apus("config", "trust", "remove", fingerprint)
                let stranger = try near.apus("list", "far:", expecting: 1)
                #expect(stranger.complaint.contains("does not trust this client"))
                try hosts.far.apus("config", "unset", "core.https_address")
                let gone = try near.apus("list", "far:", expecting: 1)
                #expect(gone.complaint.contains("nobody listens there"))
            }
        }

        @Test func imagesGoBothWays() throws {
            try withTwoHosts { hosts in
                let (near, far) = (hosts.near, hosts.far)
                try hosts.join()
                let image = try far.image(.busybox)
                let fingerprint = try #require(
                    try far.query("/1.0/images/aliases/\(image)")["target"].string)
                try withoutImage(fingerprint, on: near) {
                    try near.apus("image", "copy", "far:\(image)", "local:", "--alias", "fetched")
                    #expect(try near.query("/1.0/images/aliases/fetched")["target"].string == fingerprint)
                    let source = try near.query("/1.0/images/\(fingerprint)")["update_source"]
                    #expect(source["protocol"].string == "lxd")
                    #expect(source["secret"].string == nil)
                    try near.apus("launch", "far:\(image)", "from-far")
                    defer { _ = try? near.apus("delete", "from-far", "--force", expecting: nil) }
                    #expect(try near.exec("from-far", "echo", "hello") == "hello")
                }
                try far.apus("image", "delete", image)
                let own = try near.image(.busybox)
                try near.apus("image", "copy", own, "far:", "--copy-aliases")
                #expect(try near.apus("image", "list", "far:", "--format", "csv").text.contains(own))
                let missing = try near.apus("image", "copy", "far:nothing", "local:", expecting: 1)
                #expect(missing.complaint.contains("far: has no image \"nothing\""))
            }
        }

        @Test func aPublicImageOfAnotherDaemonIsKeptUpToDate() throws {
            try withTwoHosts { hosts in
                let (near, far) = (hosts.near, hosts.far)
                try hosts.join()
                func target(_ alias: String, on host: TestHost) throws -> String? {
                    try host.query("/1.0/images/aliases/\(alias)")["target"].string
                }
                func images(on host: TestHost) throws -> Set<String> {
                    Set(try host.query("/1.0/images").array.compactMap(\.string))
                }
                let before = try images(on: near)
                defer {
                    for path in (try? images(on: near).subtracting(before)) ?? [] {
                        _ = try? near.apus(
                            "image", "delete", path.replacingOccurrences(of: "/1.0/images/", with: ""),
                            expecting: nil)
                    }
                }
                let hidden = try far.image(.busybox)
                let refused = try near.apus(
                    "image", "copy", "far:\(hidden)", "local:", "--auto-update", expecting: 1)
                #expect(refused.complaint.contains("public"), "\(refused)")
                #expect(try images(on: near) == before)

                try far.apus("init", hidden, "c1")
                try far.apus("publish", "c1", "--alias", "living", "--public", "--reuse")
                try near.apus("image", "copy", "far:living", "local:", "--alias", "living", "--auto-update")
                let old = try #require(try target("living", on: near))
                #expect(try target("living", on: far) == old)
                let same = try near.apus("image", "refresh", "living")
                #expect(same.text.contains("newest"), "\(same)")

                try far.apus("start", "c1")
                try far.exec("c1", "sh", "-c", "echo newer >/root/mark")
                try far.apus("stop", "c1", "--force")
                try far.apus("publish", "c1", "--alias", "living", "--public", "--reuse")
                try near.apus("image", "refresh", "living")
                let new = try #require(try target("living", on: near))
                #expect(new != old)
                #expect(try target("living", on: far) == new)
                #expect(try near.connection().get("/1.0/images/\(old)").status == 404)
            }
        }

        /// Runs `body` on a host that does not have an image; it has it again afterwards.
        private func withoutImage(_ fingerprint: String, on host: TestHost, _ body: () throws -> Void) throws
        {
            let image = try host.image(.busybox)
            try host.apus("image", "delete", image, expecting: nil)
            defer {
                _ = try? host.apus("image", "delete", fingerprint, expecting: nil)
                _ = try? host.apus(
                    "image", "import", TestImage.busybox.file(on: host), "--alias", image, expecting: nil)
            }
            try body()
        }
    }
}
