import Foundation
import Glibc
import Testing

extension Integration {
    /// Containers as files.
    @Suite struct Backups {
        @Test func aContainerComesBackWithItsSnapshotsAndProcesses() throws {
            try withFolder { host, folder in
                let name = Integration.freshName()
                let file = "\(folder)/\(name).tar.zst"
                try expectNothingLeft(on: host, of: name) {
                    defer { _ = try? host.apus("delete", name, "--force", expecting: nil) }
                    try host.launch(.busybox, name, "-c", "limits.processes=77")
                    let guest = try Guest.start(in: name, of: .busybox, on: host)
                    let first = try guest.verify()
                    try host.exec(name, "sh", "-c", "echo first > /root/note; chown 7:8 /root/note")
                    try host.apus("snapshot", name, "files")
                    try host.apus("snapshot", name, "all", "--stateful")
                    try host.exec(name, "sh", "-c", "echo second > /root/note")
                    // It runs: its files are taken at one instant, and it goes on.
                    let said = try host.apus("export", name, file)
                    #expect(said.text.contains(file), "\(said)")
                    #expect(try guest.verify("while it was exported").id == first.id)
                    #expect(try host.query("/1.0/instances/\(name)/backups").array.isEmpty)
                    let taken = try host.apus("import", file, expecting: 1)
                    #expect(taken.complaint.contains("already exists"), "\(taken)")
                    // Beside it there is no room for processes with the same ids.
                    let twin = try host.apus("import", file, name + "-twin", expecting: 1)
                    #expect(twin.complaint.contains("--stateless"), "\(twin)")
                    #expect(try host.status(of: name + "-twin") == nil)
                    try host.apus("import", file, name + "-twin", "--stateless")
                    try host.apus("start", name + "-twin")
                    #expect(try host.exec(name + "-twin", "cat", "/root/note") == "second")
                    try host.apus("delete", name + "-twin", "--force")

                    try host.apus("delete", name, "--force")
                    try host.apus("import", file)
                    let shown = try host.query("/1.0/instances/\(name)?recursion=1")
                    #expect(shown["config"]["limits.processes"].string == "77")
                    #expect(shown["snapshots"].array.map { $0["stateful"].bool } == [false, true])
                    try host.apus("start", name)
                    #expect(try host.exec(name, "cat", "/root/note") == "second")
                    try host.apus("restore", name, "all", "--stateful")
                    let again = try guest.verify("after export, delete, import and restore")
                    #expect(again.id == first.id && again.tick >= first.tick)
                    #expect(try host.exec(name, "stat", "-c", "%u:%g", "/root/note") == "7:8")
                    #expect(try host.exec(name, "cat", "/root/note") == "first")
                    try host.apus("restore", name, "files")
                    #expect(try host.exec(name, "cat", "/root/note") == "first")
                }
            }
        }

        @Test func aStoppedStateGoesAlong() throws {
            try withFolder { host, folder in
                let name = Integration.freshName()
                try expectNothingLeft(on: host, of: name) {
                    defer { _ = try? host.apus("delete", name, "--force", expecting: nil) }
                    try host.launch(.busybox, name)
                    let guest = try Guest.start(in: name, of: .busybox, on: host)
                    let first = try guest.verify()
                    try host.apus("stop", name, "--stateful")
                    try host.apus("export", name, folder, "--compression", "gzip")
                    try host.apus("delete", name)
                    // It may have another name, and its processes need not know.
                    try host.apus("import", "\(folder)/\(name).tar.gz", name + "-b")
                    try host.apus("move", name + "-b", name)
                    #expect(try host.query("/1.0/instances/\(name)")["stateful"].bool == true)
                    try host.apus("start", name)
                    #expect(try guest.verify("after export, delete, import and start").id == first.id)
                }
            }
        }

        @Test func anAlteredBackupIsRefusedAndLeavesNothing() throws {
            try withFolder { host, folder in
                let name = Integration.freshName()
                let file = "\(folder)/backup.tar"
                try expectNothingLeft(on: host, of: name) {
                    defer { _ = try? host.apus("delete", name, "--force", expecting: nil) }
                    try host.launch(.busybox, name)
                    try host.apus("snapshot", name, "all", "--stateful")
                    try host.apus("export", name, file, "--compression", "none")
                    try host.apus("delete", name, "--force")
                    let whole = try Data(contentsOf: URL(filePath: file))
                    defer { _ = try? run(["rm", "-rf", "\(folder)/backup"]) }
                    func refused(_ data: Data, _ words: String) throws {
                        try data.write(to: URL(filePath: file))
                        let outcome = try host.apus("import", file, expecting: 1)
                        #expect(outcome.complaint.contains(words), "\(outcome)")
                        #expect(try host.status(of: name) == nil)
                        #expect(names(in: host.folder + "/work").isEmpty)
                    }
                    // A byte of the memory that was saved.
                    let pages = try #require(whole.range(of: Data("images/pages-1.img".utf8)))
                    var altered = whole
                    altered[pages.lowerBound + 4096] ^= 1
                    try refused(altered, "has been altered")
                    // The same by somebody who took the sum of the archive away: each state has sums of its own.
                    for command in [
                        ["tar", "-xf", file, "-C", folder],
                        ["sed", "-i", "s/sum: true/sum: false/", "\(folder)/backup/index.yaml"],
                        ["tar", "-cf", file + ".own", "-C", folder, "backup/index.yaml", "backup/snapshots"]
                            + ["backup/container", "backup/apus"],
                    ] { try must(command) }
                    let own = URL(filePath: file + ".own")
                    try refused(try Data(contentsOf: own), "has changed since the checkpoint was made")
                    try refused(whole.prefix(whole.count * 2 / 3), "whole tarball")
                    try refused(whole.prefix(100), "whole tarball")
                    // Its files are as they were, and can be had.
                    try host.apus("import", own.path, "--stateless")
                    try host.apus("start", name)
                }
            }
        }

        @Test func ownersShiftedByLXDAreThoseOfTheContainerAgain() throws {
            try withFolder { host, folder in
                let name = Integration.freshName()
                let file = "\(folder)/backup.tar"
                try expectNothingLeft(on: host, of: name) {
                    defer { _ = try? host.apus("delete", name, "--force", expecting: nil) }
                    try host.launch(.busybox, name)
                    try host.apus("export", name, file, "--compression", "none")
                    try host.apus("delete", name, "--force")
                    // As LXD packs the files of a container that has run: with the ids that they have on its disk.
                    let line = #""Hostid":100000,"Nsid":0,"Maprange":65536}"#
                    let map =
                        #"[{"Isuid":true,"Isgid":false,\#(line),{"Isuid":false,"Isgid":true,\#(line)]"#
                    for command in [
                        ["tar", "-xf", file, "-C", folder],
                        ["sed", "-i", "-e", "s/last_state.idmap\": .*/last_state.idmap\": '\(map)'/"]
                            + ["-e", "s/sum: true/sum: false/", "\(folder)/backup/index.yaml"],
                        ["tar", "-cf", file, "-C", folder, "--numeric-owner", "--owner=100000"]
                            + ["--group=100000", "backup/index.yaml", "backup/container"],
                        ["rm", "-rf", "\(folder)/backup"],
                    ] { try must(command) }
                    try host.apus("import", file)
                    try host.apus("start", name)
                    #expect(try host.exec(name, "stat", "-c", "%u:%g", "/etc") == "0:0")
                    #expect(try host.exec(name, "stat", "-c", "%u:%g", "/bin/busybox") == "0:0")
                }
            }
        }

        @Test func whatIsCutShortIsGoneAtTheNextStart() throws {
            let host = try TestHost("backup-crash")
            defer { host.tearDown() }
            let file = (host.folder as NSString).deletingLastPathComponent + "/c1.tar"
            try host.launch(.busybox, "c1")
            // Enough to be caught at it.
            try host.exec("c1", "dd", "if=/dev/urandom", "of=/root/ballast", "bs=1M", "count=200")
            let exporting = try host.begin("export", "c1", file, "--compression", "xz")
            try eventually("the export to have begun") {
                try !host.query("/1.0/operations?recursion=1")["running"].array.isEmpty
            }
            try host.killDaemon()
            _ = try exporting.wait(limit: .seconds(30))
            try host.startDaemon()
            #expect(try host.query("/1.0/instances/c1/backups").array.isEmpty)
            #expect(names(in: host.folder + "/work").isEmpty)
            #expect(names(in: host.folder + "/storage-pools/default/snapshots/c1").isEmpty)
            #expect(access(file, F_OK) != 0)
            try host.apus("snapshot", "c1", "s0")
            try host.apus("export", "c1", file, "--compression", "none")
            try host.apus("delete", "c1", "--force")
            let importing = try host.begin("import", file)
            try eventually("the import to have begun") {
                try !host.query("/1.0/operations?recursion=1")["running"].array.isEmpty
            }
            try host.killDaemon()
            _ = try importing.wait(limit: .seconds(30))
            try host.startDaemon()
            #expect(try host.status(of: "c1") == nil)
            #expect(names(in: host.folder + "/work").isEmpty)
            #expect(names(in: host.folder + "/storage-pools/default/snapshots").isEmpty)
            try host.apus("import", file)
            try host.apus("start", "c1")
        }

        private func withFolder(_ body: (TestHost, String) throws -> Void) throws {
            let host = try Integration.host
            _ = try host.image(.busybox)
            let folder =
                "\((host.folder as NSString).deletingLastPathComponent)/\(Integration.freshName("files"))"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try body(host, folder)
        }
    }
}
