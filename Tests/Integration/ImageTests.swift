import Foundation
import Glibc
import Testing

extension Integration {
    /// Images: out, in, and from servers.
    @Suite struct Images {
        /// The parts of the small test image: a metadata tarball, and the root file system twice.
        private struct Parts {
            let metadata: String
            let squashfs: String
            let tarball: String

            init(_ folder: String, marked mark: String) throws {
                let work = folder + "/parts-" + mark
                try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: true)
                try must(["tar", "-C", work, "-xf", try TestImage.busybox.file(on: Integration.host)])
                try mark.write(toFile: work + "/rootfs/root/mark", atomically: true, encoding: .utf8)
                metadata = work + "/lxd.tar.xz"
                squashfs = work + "/rootfs.squashfs"
                tarball = work + "/rootfs.tar.xz"
                try must(["tar", "-C", work, "-cJf", metadata, "metadata.yaml"])
                try must(["tar", "-C", work + "/rootfs", "--numeric-owner", "-cJf", tarball, "."])
                try must(["mksquashfs", work + "/rootfs", squashfs, "-noappend", "-quiet", "-no-progress"])
            }
        }

        private func withFolder(_ body: (String) throws -> Void) throws {
            let folder = "\(TestHost.scratch)/\(Integration.freshName("images"))"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { _ = try? run(["rm", "-rf", "--one-file-system", folder]) }
            try body(folder)
        }

        private func withServer(_ body: (TestHost, StreamsServer, String) throws -> Void) throws {
            let host = try Integration.host
            try withFolder { folder in
                let server = try StreamsServer(folder)
                defer { server.stop() }
                let remote = Integration.freshName("srv")
                try host.apus("remote", "add", remote, server.url, "--certificate", server.certificate)
                defer { _ = try? host.apus("remote", "remove", remote, expecting: nil) }
                try body(host, server, remote)
            }
        }

        private func deleteImages(on host: TestHost, where matches: (JSON) -> Bool) throws {
            for image in try host.query("/1.0/images?recursion=1").array where matches(image) {
                try host.apus("image", "delete", image["fingerprint"].string ?? "")
            }
        }

        private func incoming(_ host: TestHost) -> [String] { names(in: host.folder + "/images/incoming") }

        @Test(arguments: ["zstd", "gzip", "xz", "bzip2", "none", "squashfs"])
        func aRoundTripThroughAFileAndAnotherDaemon(compression: String) throws {
            try withFolder { folder in
                let file = folder + "/image"
                try withContainer(.busybox) { host, name in
                    try host.exec(
                        name, "sh", "-c",
                        "echo published > /root/note; ln /root/note /root/other; "
                            + "dd if=/dev/zero of=/root/holes bs=1 count=1 seek=50000000 2>/dev/null")
                    let refused = try host.apus("publish", name, expecting: 1)
                    #expect(refused.complaint.contains("running"), "\(refused)")
                    try host.apus("snapshot", name, "s1")
                    try host.exec(name, "rm", "/root/note")
                    try host.apus(
                        "publish", "\(name)/s1", "--alias", name, "--compression", compression, "--public",
                        "description=Round trip")
                    try host.apus("image", "export", name, file)
                    try host.apus("image", "delete", name)
                }
                #expect(
                    try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int ?? 0 < 20_000_000)
                let second = try TestHost(Integration.freshName("second"))
                defer { second.tearDown() }
                try second.apus("image", "import", file, "--alias", "back")
                let image = try second.query("/1.0/images?recursion=1")[0]
                #expect(image["properties"]["description"].string == "Round trip")
                #expect(image["properties"]["os"].string == "busybox")
                try second.apus("launch", "back", "c1")
                #expect(try second.exec("c1", "cat", "/root/note") == "published")
                #expect(try second.exec("c1", "stat", "-c", "%h", "/root/other") == "2")
                #expect(try second.exec("c1", "stat", "-c", "%s", "/root/holes") == "50000001")
                let blocks = Int(try second.exec("c1", "stat", "-c", "%b", "/root/holes")) ?? .max
                #expect(blocks < 10_000, "the holes of the file were filled")
            }
        }

        @Test(
            .enabled(if: StreamsServer.isPossible, "needs python3, openssl and mksquashfs"),
            arguments: [false, true])
        func anImageInTwoFilesComesInAndGoesOut(squashfs: Bool) throws {
            let host = try Integration.host
            try withFolder { folder in
                let parts = try Parts(folder, marked: "two")
                let root = squashfs ? parts.squashfs : parts.tarball
                let alias = Integration.freshName("two")
                try host.apus("image", "import", parts.metadata, root, "--alias", alias)
                let target = folder + "/out"
                try host.apus("image", "export", alias, target)
                #expect(
                    try Data(contentsOf: URL(filePath: target))
                        == Data(contentsOf: URL(filePath: parts.metadata)))
                #expect(
                    try Data(contentsOf: URL(filePath: target + ".root"))
                        == Data(contentsOf: URL(filePath: root)))
                let name = Integration.freshName()
                try expectNothingLeft(on: host, of: name) {
                    try host.apus("launch", alias, name)
                    #expect(try host.exec(name, "cat", "/root/mark") == "two")
                    try host.apus("delete", name, "--force")
                }
                // The second file alone is no image.
                try host.apus("image", "import", root, expecting: 1)
                try host.apus("image", "delete", alias)
                #expect(incoming(host) == [])
            }
        }

        @Test(.enabled(if: StreamsServer.isPossible, "needs python3, openssl and mksquashfs"))
        func aServersImageIsFetchedOnceCheckedAndRefreshed() throws {
            try withServer { host, server, remote in
                let parts = try Parts(server.folder, marked: "one")
                try server.offer(
                    "tiny", version: "20260101_00:00", metadata: parts.metadata, rootfs: parts.squashfs,
                    isSquashfs: true)
                let listed = try host.apus("image", "list", "\(remote):", "--format", "csv")
                #expect(listed.text.contains("tiny"), "\(listed)")
                // A transfer that breaks off goes on where it was.
                try server.cutOnce("images/tiny/20260101_00:00/rootfs.squashfs")
                let name = Integration.freshName()
                try expectNothingLeft(on: host, of: name) {
                    try host.apus("launch", "\(remote):tiny", name)
                    #expect(try host.exec(name, "cat", "/root/mark") == "one")
                    try host.apus("delete", name, "--force")
                    #expect(server.requests.contains { $0.contains("rootfs.squashfs bytes=") })
                    let downloads = server.requests.filter { $0.hasPrefix("images/") }.count
                    try host.apus("launch", "\(remote):tiny/default", name, expecting: 0)
                    try host.apus("delete", name, "--force")
                    #expect(server.requests.filter { $0.hasPrefix("images/") }.count == downloads)
                }
                try host.apus("image", "copy", "\(remote):tiny", "local:", "--alias", remote, "--auto-update")
                let old = try host.query("/1.0/images/aliases/\(remote)")["target"].string
                let newer = try Parts(server.folder, marked: "newer")
                try server.offer(
                    "tiny", version: "20260202_00:00", metadata: newer.metadata, rootfs: newer.tarball,
                    isSquashfs: false)
                try host.apus("image", "refresh", remote)
                let new = try host.query("/1.0/images/aliases/\(remote)")["target"].string
                #expect(old != new)
                #expect(try host.connection().get("/1.0/images/\(old ?? "")").status == 404)
                let again = try host.apus("image", "refresh", remote)
                #expect(again.text.contains("newest"), "\(again)")
                try deleteImages(on: host) { $0["update_source"]["server"].string == server.url }
            }
        }

        @Test(.enabled(if: StreamsServer.isPossible, "needs python3, openssl and mksquashfs"))
        func aServersBadFilesAreRefusedAndLeaveNothing() throws {
            try withServer { host, server, remote in
                let parts = try Parts(server.folder, marked: "bad")
                try server.offer(
                    "tiny", version: "20260101_00:00", metadata: parts.metadata, rootfs: parts.squashfs,
                    isSquashfs: true)
                let path = "images/tiny/20260101_00:00/rootfs.squashfs"
                let served = "\(server.folder)/www/\(path)"
                let name = Integration.freshName()
                let images = try host.query("/1.0/images").array.count

                try expectNothingLeft(on: host, of: name) {
                    let whole = try Data(contentsOf: URL(filePath: served))
                    var altered = whole
                    altered[altered.count / 2] ^= 1
                    try altered.write(to: URL(filePath: served))
                    let refused = try host.apus("launch", "\(remote):tiny", name, expecting: 1)
                    #expect(refused.complaint.contains("sums up to"), "\(refused)")
                    try whole.write(to: URL(filePath: served))

                    try server.cutAlways(path)
                    let broken = try host.apus("launch", "\(remote):tiny", name, expecting: 1)
                    #expect(broken.complaint.contains("rootfs.squashfs"), "\(broken)")
                    try server.cutAlways(nil)

                    #expect(try host.status(of: name) == nil)
                    #expect(incoming(host) == [])
                    #expect(try host.query("/1.0/images").array.count == images)
                    let unknown = try host.apus("launch", "\(remote):nothing", name, expecting: 1)
                    #expect(unknown.complaint.contains("no image \"nothing\""), "\(unknown)")
                }
                // Nobody vouches for its certificate.
                let stranger = remote + "-untrusted"
                try host.apus("remote", "add", stranger, server.url)
                defer { _ = try? host.apus("remote", "remove", stranger, expecting: nil) }
                let untrusted = try host.apus("image", "list", "\(stranger):", expecting: 1)
                #expect(!untrusted.complaint.isEmpty)
                // After all that the image is to be had.
                try host.apus("launch", "\(remote):tiny", name)
                #expect(try host.exec(name, "cat", "/root/mark") == "bad")
                try host.apus("delete", name, "--force")
                try deleteImages(on: host) { $0["update_source"]["server"].string == server.url }
            }
        }

        @Test(.enabled(if: StreamsServer.isPossible, "needs python3, openssl and mksquashfs"))
        func cachedImagesAreKeptUpToDateAndGoWhenNobodyUsesThem() throws {
            let host = try TestHost("upkeep")
            defer { host.tearDown() }
            try withFolder { folder in
                let server = try StreamsServer(folder)
                defer { server.stop() }
                try host.apus("remote", "add", "srv", server.url, "--certificate", server.certificate)
                func offer(_ version: String) throws {
                    let parts = try Parts(folder, marked: version)
                    try server.offer(
                        "tiny", version: "\(version)_00:00", metadata: parts.metadata, rootfs: parts.squashfs,
                        isSquashfs: true)
                }
                func cached() throws -> String? {
                    try host.query("/1.0/images?recursion=1").array.first { $0["cached"].bool == true }?[
                        "fingerprint"
                    ]
                    .string
                }
                func restart(_ statement: String) throws {
                    try host.stopDaemon()
                    try host.changeDatabase(statement)
                    try host.startDaemon()
                }
                let never = "UPDATE server_config SET value = '0' WHERE key = 'images_looked_for_newer_at'"
                try host.apus(
                    "image", "import", try TestImage.busybox.file(on: Integration.host), "--alias", "own")
                try offer("20260101")
                try host.apus("init", "srv:tiny", "c1")
                let first = try #require(try cached())

                // The hours of the interval have passed, and there is a newer version.
                try offer("20260202")
                try restart(never)
                try eventually("the newer version to be fetched") {
                    try cached().map { $0 != first } ?? false
                }
                let second = try #require(try cached())
                #expect(try host.connection().get("/1.0/images/\(first)").status == 404)

                // Not if that is switched off, but as soon as it is wanted again.
                try host.apus("config", "set", "images.auto_update_cached", "false")
                try offer("20260303")
                try restart(never)
                #expect(try cached() == second)
                try host.apus("config", "set", "images.auto_update_interval", "0")
                try host.apus("config", "set", "images.auto_update_cached", "true")
                #expect(try cached() == second)
                try host.apus("config", "set", "images.auto_update_interval", "1")
                try eventually("the newest version to be fetched") {
                    try cached().map { $0 != second } ?? false
                }

                // Days without a new container of it.
                let third = try #require(try cached())
                try host.apus("config", "set", "images.remote_cache_expiry", "0")
                let longAgo = "'2020-01-01T00:00:00Z'"
                try restart("UPDATE images SET uploaded_at = \(longAgo), last_used_at = \(longAgo)")
                #expect(try cached() == third)
                try host.apus("config", "set", "images.remote_cache_expiry", "10")
                try eventually("the image to expire") { try cached() == nil }
                // The row goes first, then the files.
                try eventually("its files to be gone") {
                    names(in: host.folder + "/images").allSatisfy { !$0.hasPrefix(third) }
                }
                #expect(try host.apus("image", "list", "--format", "csv").text.contains("own"))
                try host.apus("start", "c1")
                #expect(try host.exec("c1", "cat", "/root/mark") == "20260101")
            }
        }

        @Test func whatIsPublishedIsCompressedAsTheServerSays() throws {
            try withFolder { folder in
                try withContainer(.busybox) { host, name in
                    try host.apus("snapshot", name, "s")
                    defer {
                        _ = try? host.apus("config", "unset", "images.compression_algorithm", expecting: nil)
                    }
                    for (algorithm, begin) in [("gzip", [0x1f, 0x8b]), ("none", Array("meta".utf8))]
                        as [(String, [UInt8])]
                    {
                        try host.apus("config", "set", "images.compression_algorithm", algorithm)
                        try host.apus("publish", "\(name)/s", "--alias", name)
                        let file = "\(folder)/\(algorithm)"
                        try host.apus("image", "export", name, file)
                        let written = try #require(names(in: folder).first { $0.hasPrefix(algorithm) })
                        let bytes = try Data(contentsOf: URL(filePath: "\(folder)/\(written)"))
                        #expect(Array(bytes.prefix(begin.count)) == begin)
                        try host.apus("image", "delete", name)
                    }
                    let refused = try host.apus(
                        "config", "set", "images.compression_algorithm", "rar", expecting: 1)
                    #expect(refused.complaint.contains("zstd"), "\(refused)")
                }
            }
        }

        @Test func propertiesAndAliases() throws {
            let host = try Integration.host
            let alias = Integration.freshName("a")
            let image = try host.image(.busybox)
            let target = try host.query("/1.0/images/aliases/\(image)")["target"].string ?? ""
            try host.apus("image", "alias", "create", alias, image)
            try host.apus("image", "alias", "rename", alias, alias + "/new")
            #expect(try host.query("/1.0/images/aliases/\(alias)/new")["target"].string == target)
            try host.apus("image", "alias", "delete", alias + "/new")
            try host.apus("image", "set-property", image, "user.note", "x y")
            #expect(try host.apus("image", "get-property", image, "user.note").text == "x y")
            try host.apus("image", "unset-property", image, "user.note")
            #expect(try host.apus("image", "show", image).text.contains("user.note") == false)
            let read = try host.connection().get("/1.0/images/\(target)")
            let stale = try host.connection().request(
                "PUT", "/1.0/images/\(target)", #"{"properties": {}}"#, headers: ["If-Match": "\"0\""])
            #expect(read.headers["etag"] != nil)
            #expect(stale.status == 412)
        }
    }
}
