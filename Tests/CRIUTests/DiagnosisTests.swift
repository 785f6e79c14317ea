import CRIU
import Testing

/// Lines of real logs, and what is made of them.
@Suite struct DiagnosisTests {
    /// Log line, a word of the sentence it becomes, whether another try may help.
    static let lines: [(String, String, Bool)] = [
        (
            "(00.012345) Error (criu/namespaces.c:639): Can't dump nested uts namespace for 34", "host name",
            false
        ),
        ("(00.012345) Error (criu/namespaces.c:639): Can't dump nested ipc namespace for 34", "IPC", false),
        ("(00.010000) Error (criu/namespaces.c:639): Can't dump nested user namespace for 9", "user", false),
        (
            "(00.010000) Error (criu/namespaces.c:639): Can't dump nested pid namespace for 9", "process",
            false
        ),
        (
            "(00.060000) Error (criu/sk-netlink.c:77): netlink: The socket has data to read",
            "of the network",
            true
        ),
        (
            "(00.060000) Error (criu/sk-queue.c:52): skqueue: Control messages in queue, not supported",
            "message", true
        ),
        (
            "(00.040000) Error (criu/proc_parse.c:1893): error parsing [inotify wd:1 ino:5 ignored_mask:0 ]",
            "watch", true
        ),
        ("(00.030000) Error (criu/sk-inet.c:188): inet: In-flight connection (l) for 5", "accept", true),
        (
            "(00.030000) Error (criu/sk-unix.c:500): unix: Non-empty write queue on an in-flight socket 7",
            "accept",
            true
        ),
        (
            "(00.005000) Error (compel/src/lib/infect.c:261): Unseizable non-zombie 99 found, state S, err -1/1",
            "traced",
            true
        ),
        ("(10.001000) Error (criu/cr-dump.c:90): Timeout reached. Try to interrupt: 0", "device", false),
        (
            "(00.020000) Error (criu/files-ext.c:96): Can't dump file 3 of that type [600] (Unknown shit 600 (anon_inode:[io_uring]))",
            "io_uring", false
        ),
        (
            "(00.020000) Error (criu/files-ext.c:96): Can't dump file 12 of that type [600] (anon_inode:bpf-prog)",
            "BPF",
            false
        ),
        (
            "(00.020000) Error (criu/files-ext.c:96): Can't dump file 3 of that type [20666] (chr 10:229)",
            "FUSE", false
        ),
        ("(00.020000) Error (criu/fsnotify.c:300): fsnotify: Can't dump that handle", "watches", false),
        (
            "(00.020000) Error (criu/files-reg.c:960): Can't dump ghost file /x of 2097152 size, increase limit",
            "deleted",
            false
        ),
        (
            "(00.020000) Error (criu/pipes.c:600): The packetized mode for pipes is not supported yet",
            "packet", false
        ),
        (
            "(00.020000) Error (criu/sk-inet.c:140): inet: Unsupported proto 262 for socket 8", "Multipath",
            false
        ),
        (
            "(00.020000) Error (criu/sockets.c:900): sockets: Unknown socket collected (family 40)", "vsock",
            false
        ),
        (
            "(00.020000) Error (criu/sockets.c:100): sockets: Can't get 1:16 opt: Operation not supported",
            "4.2", false
        ),
        (
            "(00.003000) Error (criu/mount.c:753): mnt: 243:./var/tmp doesn't have a proper root mount",
            "PrivateTmp",
            false
        ),
        (
            "(00.003000) Error (criu/mount.c:1199): mnt: FS mnt ./run/credentials/x dev 0x3b root / unsupported id 55",
            "file system", false
        ),
        (
            "(00.020000) Error (criu/cr-dump.c:500): Zombies with threads are not supported", "main thread",
            false
        ),
        (
            "(00.020000) Error (criu/cr-dump.c:420): Can't get rlimit 0: Operation not permitted",
            "CAP_SYS_RESOURCE",
            false
        ),
        (
            "(00.020000) Error (criu/memfd.c:400): Cannot apply seals on memfd: Device or resource busy",
            "sealed", false
        ),
        ("(00.020000) Error (criu/files.c:100): No entry for reg-file-ID 0x1d", "memory", false),
        (
            "(00.020000) Error (criu/files-reg.c:1900): File var/log/x has bad size 10 (expect 5)", "size",
            false
        ),
        (
            "(00.020000) Error (criu/files-reg.c:1850): File usr/bin/x has bad build-ID (expected 01)",
            "replaced", false
        ),
        (
            "(00.020000) Error (criu/files-reg.c:2100): Can't open file var/lib/x on restore: No such file or directory",
            "missing", false
        ),
        (
            "(00.020000) Error (criu/mount.c:2000): mnt: Unable to mount overlay ./x: No such file or directory",
            "overlay",
            false
        ),
    ]

    @Test(arguments: lines) func isExplained(_ line: String, _ word: String, _ isTransient: Bool) throws {
        let problems = CRIULog.problems(in: line + "\n")
        let sentence = try #require(CRIUDiagnosis.explain(problems))
        #expect(sentence.contains(word))
        #expect(CRIUDiagnosis.isTransient(problems) == isTransient)
    }

    @Test func harmlessErrorsAreNotTheCause() {
        let log = """
            (00.000729) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted
            (00.003463) Warn  (criu/cr-restore.c:1050): Set CLONE_PARENT | CLONE_NEWPID but it might cause problem
            (00.035331)      1: Error (criu/mount-v2.c:324): mnt-v2: Failed to move_mount from a to b: Invalid argument
            (00.036601) Error (criu/cr-restore.c:2331): Restoring FAILED.

            """
        #expect(
            CRIULog.problems(in: log)
                == [
                    "1: Error (criu/mount-v2.c:324): mnt-v2: Failed to move_mount from a to b: Invalid argument"
                ].map { "     " + $0 }.map { String($0.drop { $0 == " " }) })
    }

    @Test func unknownLinesHaveNoExplanation() {
        #expect(CRIUDiagnosis.explain(["Error (criu/x.c:1): something new"]) == nil)
        #expect(!CRIUDiagnosis.isTransient(["Error (criu/x.c:1): something new"]))
        #expect(CRIULog.problems(file: "/nonexistent/dump.log").isEmpty)
    }
}
