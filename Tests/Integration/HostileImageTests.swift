import Foundation
import Testing

extension Integration {
    /// Tarballs made to break out of the folder they are unpacked into.
    @Suite struct HostileImages {
        /// One way to try it. `#` stands for a folder of the host that must not change.
        struct Attack: CustomTestStringConvertible, Sendable {
            let testDescription: String
            let build: @Sendable (inout TarFile, String) -> Void
        }

        static let attacks: [Attack] = [
            Attack(testDescription: "a name with ..") { tar, target in
                tar.add("rootfs/../../../../../../../../../..\(target)/evil", content: "evil")
            },
            Attack(testDescription: "a name that begins with ..") { tar, target in
                tar.add("../../../../../../../../../..\(target)/evil", content: "evil")
            },
            Attack(testDescription: "an absolute name") { tar, target in
                tar.add("\(target)/evil", content: "evil")
            },
            Attack(testDescription: "a file through an absolute symlink") { tar, target in
                tar.add("rootfs/out", .symbolicLink, link: target)
                tar.add("rootfs/out/evil", content: "evil")
            },
            Attack(testDescription: "a file through a relative symlink") { tar, target in
                tar.add("rootfs/out", .symbolicLink, link: "../../../../../../../../../..\(target)")
                tar.add("rootfs/out/evil", content: "evil")
            },
            Attack(testDescription: "a file over a symlink") { tar, target in
                tar.add("rootfs/out", .symbolicLink, link: "\(target)/precious")
                tar.add("rootfs/out", content: "evil")
            },
            Attack(testDescription: "rootfs itself a symlink") { tar, target in
                tar.add("rootfs", .symbolicLink, link: target)
                tar.add("rootfs/evil", content: "evil")
            },
            Attack(testDescription: "a hard link to the host") { tar, target in
                tar.add("rootfs/out", .hardLink, link: "\(target)/precious")
                tar.add("rootfs/out", content: "evil")
            },
            Attack(testDescription: "a hard link through ..") { tar, target in
                tar.add("rootfs/out", .hardLink, link: "../../../../../../../../../..\(target)/precious")
                tar.add("rootfs/out", content: "evil", mode: 0o777)
            },
            Attack(testDescription: "a hard link through a symlink") { tar, target in
                tar.add("rootfs/out", .symbolicLink, link: target)
                tar.add("rootfs/again", .hardLink, link: "rootfs/out/precious")
                tar.add("rootfs/again", content: "evil")
            },
            Attack(testDescription: "a folder's mode changed through a symlink") { tar, target in
                tar.add("rootfs/out", .symbolicLink, link: target)
                tar.add("rootfs/out/", .folder, mode: 0o777)
            },
            Attack(testDescription: "templates outside") { tar, target in
                tar.add("templates/../../../../../../../../..\(target)/evil", content: "evil")
            },
        ]

        @Test(arguments: attacks)
        func nothingLandsOutside(attack: Attack) throws {
            let host = try Integration.host
            let work = "\(TestHost.scratch)/\(Integration.freshName("evil"))"
            let target = work + "/target"
            try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
            defer { _ = try? run(["rm", "-rf", work]) }
            try "precious".write(toFile: target + "/precious", atomically: true, encoding: .utf8)
            try must(["chmod", "700", target])
            let before = try must(["stat", "-c", "%n %a %h %U", target, target + "/precious"]).text

            var tar = TarFile()
            tar.addMetadata()
            tar.add("rootfs/sbin/", .folder)
            attack.build(&tar, target)
            try tar.write(to: work + "/evil.tar")
            let alias = Integration.freshName("evil")
            let name = Integration.freshName()
            let imported = try host.apus(
                "image", "import", work + "/evil.tar", "--alias", alias, expecting: nil)
            if imported.code == 0 {
                let made = try host.apus("init", alias, name, expecting: nil)
                if made.code == 0 {
                    // What was taken has to be harmless at the start too.
                    _ = try host.apus("start", name, expecting: nil)
                    try host.apus("delete", name, "--force")
                }
                _ = try host.apus("image", "delete", alias, expecting: nil)
            } else {
                #expect(imported.complaint.hasPrefix("Error: "))
            }
            #expect(names(in: target) == ["precious"])
            #expect(text(of: target + "/precious") == "precious")
            #expect(try must(["stat", "-c", "%n %a %h %U", target, target + "/precious"]).text == before)
            #expect(try host.status(of: name) == nil, "half a container is left")
        }

        @Test func devicesOfAnImageOpenNothing() throws {
            let host = try Integration.host
            let work = "\(TestHost.scratch)/\(Integration.freshName("devices"))"
            try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: true)
            defer { _ = try? run(["rm", "-rf", work]) }
            let good = try TestImage.busybox.file(on: host)
            try must(["cp", good, work + "/image.tar"])
            var tar = TarFile()
            tar.add("rootfs/root/disk", .blockDevice, mode: 0o666, device: (254, 0))
            tar.add("rootfs/root/memory", .characterDevice, mode: 0o666, device: (1, 1))
            tar.add("rootfs/root/kmsg", .characterDevice, mode: 0o666, device: (1, 11))
            try tar.write(to: work + "/more.tar")
            try must(["tar", "--concatenate", "--file", work + "/image.tar", work + "/more.tar"])
            let alias = Integration.freshName("devices")
            let name = Integration.freshName()
            let imported = try host.apus(
                "image", "import", work + "/image.tar", "--alias", alias, expecting: nil)
            guard imported.code == 0 else { return }
            defer { _ = try? host.apus("image", "delete", alias, expecting: nil) }
            try expectNothingLeft(on: host, of: name) {
                let launched = try host.apus("launch", alias, name, expecting: nil)
                if launched.code == 0 {
                    for device in ["disk", "memory", "kmsg"] {
                        let opened = try host.apus(
                            "exec", name, "--", "dd", "if=/root/\(device)", "of=/dev/null", "bs=16",
                            "count=1", expecting: nil)
                        #expect(opened.code != 0, "\(device) could be read")
                    }
                }
                _ = try host.apus("delete", name, "--force", expecting: nil)
            }
        }

        @Test func whatIsNoImageIsRefused() throws {
            let host = try Integration.host
            let work = "\(TestHost.scratch)/\(Integration.freshName("broken"))"
            try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: true)
            defer { _ = try? run(["rm", "-rf", work]) }
            let before = try host.query("/1.0/images").array.count

            try Data((0..<100_000).map { _ in UInt8.random(in: 0...255) }).write(
                to: URL(filePath: work + "/noise"))
            try Data().write(to: URL(filePath: work + "/empty"))
            let whole = try Data(contentsOf: URL(filePath: try TestImage.busybox.file(on: host)))
            try whole.prefix(whole.count / 2).write(to: URL(filePath: work + "/half.tar"))
            try must(["gzip", "--keep", "--stdout", work + "/noise"]).output.write(
                to: URL(filePath: work + "/noise.gz"))
            var plain = TarFile()
            plain.add("rootfs/", .folder)
            try plain.write(to: work + "/no-metadata.tar")
            var odd = TarFile()
            odd.addMetadata("architecture: [unclosed\n\t: :")
            try odd.write(to: work + "/odd-metadata.tar")
            var other = TarFile()
            other.addMetadata("architecture: s390x\ncreation_date: 1\nproperties: {}\n")
            try other.write(to: work + "/other-architecture.tar")
            var huge = TarFile()
            huge.addMetadata()
            huge.add("rootfs/huge", size: 0o77777777777)
            try huge.write(to: work + "/huge.tar")

            for name in names(in: work) {
                let alias = Integration.freshName("broken")
                let outcome = try host.apus(
                    "image", "import", "\(work)/\(name)", "--alias", alias, expecting: nil,
                    limit: .seconds(60))
                if outcome.code == 0 {
                    // Some faults show only when it is unpacked.
                    let container = Integration.freshName()
                    let made = try host.apus("init", alias, container, expecting: nil)
                    #expect(made.code != 0, "\(name) became a container")
                    #expect(try host.status(of: container) == nil)
                    _ = try host.apus("image", "delete", alias, expecting: nil)
                } else {
                    #expect(outcome.complaint.hasPrefix("Error: "), "\(name): \(outcome)")
                }
            }
            #expect(try host.query("/1.0/images").array.count == before)
        }
    }
}
