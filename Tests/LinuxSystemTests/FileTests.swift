import Glibc
import LinuxSystem
import Testing

@Suite("Files and trees")
struct FileTests {
    @Test("A tree is removed, and what symlinks in it point to is not")
    func removeFollowsNoSymlink() throws {
        try Host.withTemporaryDirectory { path in
            try Files.makeDirectories(path + "/tree/a/b")
            try Files.makeDirectories(path + "/outside")
            try Files.write(path + "/outside/kept", "x")
            try Files.write(path + "/tree/a/b/file", "x")
            symlink(path + "/outside", path + "/tree/a/link")
            symlink("/", path + "/tree/root")
            try removeTree(path + "/tree")
            #expect(!Files.exists(path + "/tree"))
            #expect(try Files.text(path + "/outside/kept") == "x")
        }
    }

    @Test("A symlink given as the tree is removed itself")
    func removeSymlink() throws {
        try Host.withTemporaryDirectory { path in
            try Files.makeDirectories(path + "/outside/kept")
            symlink(path + "/outside", path + "/link")
            try removeTree(path + "/link")
            #expect(!Files.exists(path + "/link"))
            #expect(Files.isDirectory(path + "/outside/kept"))
        }
    }

    @Test("What is not there needs no removing; the parent of a tree is never taken for it")
    func removeNothing() throws {
        try Host.withTemporaryDirectory { path in
            try removeTree(path + "/none")
            try removeTree(path + "/none/at/all")
            #expect(throws: SystemError.self) { try removeTree(path + "/..") }
        }
    }

    @Test("A mount in a tree is not entered", .enabled(if: Host.isRoot, "needs root to mount"))
    func removeCrossesNoMount() throws {
        try Host.withTemporaryDirectory { path in
            try Files.makeDirectories(path + "/tree/mounted")
            try Files.makeDirectories(path + "/source")
            try Files.write(path + "/source/kept", "x")
            try Mount.bind(path + "/source", on: path + "/tree/mounted")
            defer { try? Mount.unmountAll(below: path) }
            #expect(throws: SystemError.self) { try removeTree(path + "/tree") }
            #expect(try Files.text(path + "/source/kept") == "x")
            try Mount.unmountAll(below: path + "/tree")
            try removeTree(path + "/tree")
            #expect(try Files.text(path + "/source/kept") == "x")
        }
    }

    @Test("Ids are mapped at a second place of a tree", .enabled(if: Host.isRoot, "needs root to mount"))
    func mappedBind() throws {
        try Host.withTemporaryDirectory { path in
            try Files.makeDirectories(path + "/source")
            try Files.makeDirectories(path + "/target")
            try Files.write(path + "/source/file", "x")
            do {
                try Mount.bindMapped(path + "/source", on: path + "/target", map: IDMap(base: 300_000))
            } catch let error as SystemError where error.call == "mount_setattr" {
                return  // This file system cannot.
            }
            defer { try? Mount.unmountAll(below: path) }
            let file = try FileDescriptor.open(path + "/target/file", O_RDONLY)
            #expect(try file.status().st_uid == 300_000)
        }
    }

    @Test("Paths are resolved below a directory: symlinks do not lead out of it")
    func resolve() throws {
        try Host.withTemporaryDirectory { path in
            try Files.makeDirectories(path + "/root/etc")
            try Files.write(path + "/root/etc/name", "inside")
            symlink("/etc/name", path + "/root/absolute")
            symlink("../../../../../etc/name", path + "/root/climbing")
            let root = try FileDescriptor.open(path + "/root", O_RDONLY | O_DIRECTORY)
            for link in ["absolute", "climbing"] {
                let file = try root.open(at: link, O_RDONLY, resolve: .inRoot)
                #expect(String(decoding: try file.readAll(), as: UTF8.self) == "inside")
                #expect(throws: SystemError.self) { try root.open(at: link, O_RDONLY, resolve: .beneath) }
                #expect(throws: SystemError.self) {
                    try root.open(at: link, O_RDONLY, resolve: [.inRoot, .noSymlinks])
                }
            }
        }
    }

    @Test("A file is replaced as a whole")
    func replace() throws {
        try Host.withTemporaryDirectory { path in
            try Files.replace(path + "/file", Array("one".utf8))
            try Files.replace(path + "/file", Array("two".utf8))
            #expect(try Files.text(path + "/file") == "two")
            #expect(try Files.names(in: path) == ["file"])
        }
    }

    @Test("A closed descriptor stays closed, a released one is the caller's")
    func ownership() throws {
        let file = try FileDescriptor.open("/dev/null", O_RDONLY)
        file.close()
        file.close()
        #expect(!file.isOpen)
        let other = try FileDescriptor.open("/dev/null", O_RDONLY)
        let number = other.release()
        #expect(fcntl(number, F_GETFD) >= 0)
        close(number)
    }

    @Test("Errors say what was done, to what, and why it failed")
    func errors() {
        let error = #expect(throws: SystemError.self) { try FileDescriptor.open("/no/such/file", O_RDONLY) }
        #expect(error?.description == "cannot open /no/such/file: No such file or directory (open)")
    }
}
