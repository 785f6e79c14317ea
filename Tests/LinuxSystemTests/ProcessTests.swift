import Glibc
import LinuxSystem
import Testing

@Suite("Processes and sockets")
struct ProcessTests {
    @Test("A program's output and end are captured")
    func helper() async throws {
        let result = try await HelperProgram.run(
            Spawn(["sh", "-c", "cat; echo oops >&2; exit 3"]), input: Array("hello".utf8))
        #expect(result.text == "hello")
        #expect(result.errorText == "oops\n")
        #expect(result.status == .exited(3))
    }

    @Test("More than a pipe holds goes through")
    func large() async throws {
        let input = [UInt8](repeating: 7, count: 3 << 20)
        let result = try await HelperProgram.run(Spawn(["cat"]), input: input)
        #expect(result.output == input)
    }

    @Test("A helper that fails is an error with its last words")
    func failure() async {
        let error = await #expect(throws: HelperFailure.self) {
            try await HelperProgram.succeed(["sh", "-c", "echo first >&2; echo last >&2; exit 1"])
        }
        #expect(error?.description == "sh exited with status 1: first; last")
    }

    @Test("A program that is not there is an error of the caller, not of a child")
    func missing() {
        let error = #expect(throws: SystemError.self) { try Spawn(["/no/such/program"]).start() }
        #expect(error?.errno == ENOENT)
        #expect(throws: SystemError.self) { try Spawn(["no-such-program-anywhere"]).start() }
        #expect(throws: SystemError.self) { try Spawn([]).start() }
    }

    @Test("Descriptors arrive where they are wanted, and no others")
    func descriptors() async throws {
        let pipe = try FileDescriptor.pipe()
        let child = try Spawn(
            ["sh", "-c", "echo here >&5; ls /proc/self/fd | wc -l >&5"], fds: [5: pipe.write]
        ).start()
        pipe.write.close()
        #expect(try await child.waitForExit() == .exited(0))
        // 0, 1, 2, 5, and the one with which ls reads the directory.
        let text = String(decoding: try pipe.read.readAll(), as: UTF8.self)
        #expect(text.split(separator: "\n").map { $0.filter { $0 != " " } } == ["here", "5"])
    }

    @Test("Environment, directory and session")
    func surroundings() async throws {
        let result = try await HelperProgram.run(
            Spawn(
                ["/bin/sh", "-c", "echo $NAME; pwd; cut -d' ' -f1,6 /proc/$$/stat"],
                environment: ["NAME": "swift"],
                directory: "/usr"
            ).configured { $0.newSession = true })
        let lines = result.text.split(separator: "\n")
        #expect(lines.prefix(2) == ["swift", "/usr"])
    }

    @Test("Signals that we ignore are not ignored in children")
    func signals() async throws {
        signal(SIGPIPE, SIG_IGN)
        let result = try await HelperProgram.run(Spawn(["sh", "-c", "grep SigIgn /proc/self/status"]))
        #expect(result.text.contains("0000000000000000"))
    }

    @Test(
        "A child gets mounts of its own that nobody else sees",
        .enabled(if: Host.isRoot, "needs root to mount"))
    func privateMounts() async throws {
        try await Host.withTemporaryDirectory { path in
            let result = try await HelperProgram.run(
                Spawn(["sh", "-c", "touch \(path)/file && stat -f -c %T \(path)"])
                    .configured { $0.mounts = [SpawnMount("tmpfs", on: path, type: "tmpfs")] })
            #expect(result.text == "tmpfs\n")
            #expect(!Files.exists(path + "/file"))
        }
    }

    @Test("A pidfd tells the end of a process, and a signal by it finds the right one")
    func pidfd() async throws {
        let child = try Spawn(["sleep", "1000"]).start()
        #expect(!child.hasEnded)
        #expect(child.signal(SIGKILL))
        #expect(try await child.waitForExit() == .signaled(SIGKILL))
        #expect(ExitStatus.signaled(SIGKILL).shellCode == 137)
        #expect(!child.signal(SIGTERM))
    }

    @Test("A descriptor of another process can be copied", .enabled(if: Host.isRoot, "needs root"))
    func copyDescriptor() async throws {
        let pipe = try FileDescriptor.pipe()
        let child = try Spawn(["sleep", "1000"], fds: [7: pipe.write]).start()
        pipe.write.close()
        let copy = try child.duplicate(descriptor: 7)
        child.signal(SIGKILL)
        _ = try await child.waitForExit()
        try copy.write("x")
        #expect(try pipe.read.read(upTo: 10) == [UInt8(ascii: "x")])
        #expect(throws: SystemError.self) { try child.duplicate(descriptor: 7) }
    }

    @Test("A wait is given up when its task is cancelled")
    func cancel() async throws {
        let pipe = try FileDescriptor.pipe()
        let waiting = Task { try await pipe.read.readable() }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
    }

    @Test("Descriptors travel over sockets, with whole messages")
    func rights() throws {
        let (left, right) = try UnixSocket.pair(.seqpacket)
        let pipe = try FileDescriptor.pipe()
        try left.send([1, 2, 3], descriptors: [pipe.write])
        let message = try right.receive()
        #expect(message.bytes == [1, 2, 3])
        #expect(!message.isTruncated)
        try #require(message.descriptors.count == 1)
        try message.descriptors[0].write("through")
        #expect(try pipe.read.read(upTo: 100) == Array("through".utf8))
        left.close()
        #expect(try right.receive().bytes.isEmpty)
    }

    @Test("More descriptors than there is room for are closed and noticed")
    func tooManyRights() throws {
        let (left, right) = try UnixSocket.pair(.seqpacket)
        let pipe = try FileDescriptor.pipe()
        try left.send([1], descriptors: [FileDescriptor](repeating: pipe.write, count: 5))
        let message = try right.receive(descriptors: 2)
        #expect(message.descriptors.count == 2)
        try left.send([UInt8](repeating: 1, count: 100))
        #expect(try right.receive(limit: 10).isTruncated)
    }

    @Test("A socket may lie at a path longer than its address has room for")
    func longPath() throws {
        try Host.withTemporaryDirectory { path in
            let deep = path + "/" + String(repeating: "x", count: 120)
            try Files.makeDirectories(deep)
            let listener = try UnixSocket.listen(deep + "/socket", .seqpacket)
            let client = try UnixSocket.connect(deep + "/socket", .seqpacket)
            let server = try UnixSocket.accept(listener)
            #expect(try server.peerCredentials().pid == getpid())
            try client.send([9])
            #expect(try server.receive().bytes == [9])
        }
    }

    @Test("A pseudo terminal has two ends and a size")
    func terminal() throws {
        let terminal = try PTY.open()
        let slave = try terminal.openSlave()
        try terminal.master.setWindowSize(rows: 33, columns: 99)
        #expect(try slave.windowSize() == (33, 99))
        try slave.write("x")
        #expect(try terminal.master.read(upTo: 10) == [UInt8(ascii: "x")])
    }
}
