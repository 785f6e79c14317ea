/// Turns lines of CRIU's log into plain words: what is in the way, and what to do about it.
public enum CRIUDiagnosis {
    /// One kind of message: a piece of the log line, and what it means. A new reason is one entry here.
    struct Entry: Sendable {
        let pattern: String
        let sentence: String
        /// Gone by itself a moment later: try again.
        var isTransient = false
    }

    /// The first explanation any of the lines has; nil when none is known.
    public static func explain(_ lines: [String]) -> String? {
        entry(for: lines)?.sentence
    }

    /// Whether what stopped CRIU passes by itself, so that another try may succeed.
    public static func isTransient(_ lines: [String]) -> Bool {
        lines.contains { line in entries.first { line.contains($0.pattern) }?.isTransient == true }
    }

    private static func entry(for lines: [String]) -> Entry? {
        for line in lines {
            if let entry = entries.first(where: { line.contains($0.pattern) }) { return entry }
        }
        return nil
    }

    private static let pagesLost = "the other side stopped taking its memory, or the way to it broke"

    static let entries: [Entry] = [
        // The way of memory pages; what the system says of it would else be taken for something that passes.
        Entry(pattern: "The page server doesn't answer", sentence: pagesLost),
        Entry(pattern: "Can't write pages to socket", sentence: pagesLost),
        Entry(pattern: "to page server", sentence: pagesLost),
        Entry(pattern: "PSI", sentence: pagesLost),
        Entry(
            pattern: "No space left on device",
            sentence:
                "the file system that saved states are written to is full. Make room below the daemon's directory, then try again"
        ),
        // What passes.
        Entry(
            pattern: "Control messages in queue",
            sentence:
                "a message with file descriptors or credentials lay in a socket and was not read; try again when the program that should read it runs",
            isTransient: true),
        Entry(
            pattern: "netlink: The socket has data to read",
            sentence: "a program had not read yet what the kernel told it of the network; try again",
            isTransient: true),
        Entry(
            pattern: "ignored_mask", sentence: "a file watch was just being set up; try again",
            isTransient: true),
        Entry(
            pattern: "In-flight connection",
            sentence:
                "a connection was made that the server has not accepted yet; try again, or see why the server does not accept it",
            isTransient: true),
        Entry(
            pattern: "Non-empty write queue on an in-flight socket",
            sentence:
                "a local connection with data was not accepted yet; try again, or see why the server does not accept it",
            isTransient: true),
        Entry(
            pattern: "is not a pidfd or the process",
            sentence: "a process ended while it was being saved; try again", isTransient: true),
        Entry(
            pattern: "Unable to interrupt task",
            sentence: "a process ended while it was being stopped; try again", isTransient: true),
        Entry(
            pattern: "Unable to detach from",
            sentence: "a process ended while it was being stopped; try again", isTransient: true),
        Entry(
            pattern: "Unseizable non-zombie",
            sentence: "a process is being traced by a debugger or strace; detach it and try again",
            isTransient: true),
        Entry(
            pattern: "Timeout reached",
            sentence:
                "a process waits for a device or a network file system and cannot be stopped; try again when it is done",
            isTransient: false),
        Entry(
            pattern: "external socket is used",
            sentence:
                "a local socket is connected to a program that exec brought in; end that session or try again",
            isTransient: true),
        Entry(
            pattern: "Can't dump half of stream unix connection",
            sentence:
                "a local socket is connected to a program outside of the container, such as an exec session; end that session or try again",
            isTransient: true),
        Entry(
            pattern: "Runaway net ns", sentence: "a network namespace was going away; try again",
            isTransient: true),
        Entry(
            pattern: "Resource temporarily unavailable",
            sentence: "a file could not be opened because others were just being renamed; try again",
            isTransient: true),
        // Namespaces.
        Entry(pattern: "Can't dump nested uts namespace", sentence: nested("host name")),
        Entry(pattern: "Can't dump nested ipc namespace", sentence: nested("IPC")),
        Entry(pattern: "Can't dump nested user namespace", sentence: nested("user")),
        Entry(pattern: "Can't dump nested pid namespace", sentence: nested("process")),
        Entry(pattern: "Can't dump nested cgroup namespace", sentence: nested("control group")),
        Entry(pattern: "Can't dump nested time namespace", sentence: nested("time")),
        // Descriptors.
        Entry(
            pattern: "anon_inode:[io_uring]",
            sentence:
                "a program has an io_uring ring open; CRIU cannot save those. Stop it, or take the snapshot without --stateful"
        ),
        Entry(
            pattern: "anon_inode:bpf-prog",
            sentence:
                "a service has a BPF program loaded (IPAddressDeny= of systemd does that in privileged containers); CRIU cannot save those. Stop it or remove the setting"
        ),
        Entry(
            pattern: "anon_inode:[userfaultfd]",
            sentence: "a program has a userfaultfd open; CRIU cannot save those. Stop it"),
        Entry(
            pattern: "anon_inode:[perf_event]",
            sentence: "a program has a performance counter open; CRIU cannot save those. Stop it"),
        Entry(
            pattern: "anon_inode:[fanotify]",
            sentence:
                "a program watches a whole file system (fanotify); CRIU could not save that watch. Stop it"),
        Entry(
            pattern: "/secretmem",
            sentence: "a program holds secret memory (memfd_secret); CRIU cannot save it. Stop it"),
        Entry(
            pattern: "(chr 10:229)", sentence: "a program uses FUSE; CRIU cannot save that. Unmount it"),
        Entry(
            pattern: "Can't dump ghost file",
            sentence:
                "a deleted file that is still open is too large to be saved; restart the program that holds it"
        ),
        Entry(
            pattern: "packetized mode for pipes",
            sentence: "a program has a pipe in packet mode (O_DIRECT); CRIU cannot save those. Stop it"),
        Entry(
            pattern: "Can't dump that handle",
            sentence:
                "a program watches a file that has been deleted, or one in /proc or /sys; CRIU cannot save that watch. Restart it"
        ),
        Entry(
            pattern: "Can't dump file",
            sentence:
                "a program has a file or device open that CRIU cannot save. Stop it, or take the snapshot without --stateful"
        ),
        Entry(
            pattern: "Can't lookup mount=",
            sentence:
                "a program has a file open whose mount is not visible to it any more (such as a POSIX message queue). Stop it"
        ),
        // Sockets.
        Entry(
            pattern: "Unsupported proto 262",
            sentence: "a program uses Multipath TCP; CRIU cannot save that. Switch it off in its settings"),
        Entry(
            pattern: "Unsupported proto",
            sentence: "a program has a socket of a protocol that CRIU cannot save. Stop it"),
        Entry(
            pattern: "Unknown socket collected",
            sentence:
                "a program has a socket of a family that CRIU does not know (vsock, for instance). Stop it"),
        Entry(
            pattern: "Can't get 1:",
            sentence:
                "this CRIU cannot save sockets on the running kernel; install CRIU 4.2 or newer (scripts/criu-install)"
        ),
        // Mounts.
        Entry(
            pattern: "doesn't have a proper root mount",
            sentence:
                "a mount in the container shows a part of a file system of which the rest is mounted nowhere (ip netns and PrivateTmp=disconnected do that). Unmount it"
        ),
        Entry(
            pattern: "FS mnt ",
            sentence: "a file system is mounted in the container that CRIU cannot save. Unmount it"),
        Entry(
            pattern: "Unable to mount overlay",
            sentence:
                "an overlay is mounted in the container; CRIU cannot mount it again. Unmount it before the next checkpoint"
        ),
        // Processes.
        Entry(
            pattern: "Zombies with threads",
            sentence:
                "the main thread of a program has ended while others go on; CRIU cannot save that. Stop it"),
        Entry(
            pattern: "Can't get rlimit",
            sentence:
                "the limits of another user's process cannot be read without CAP_SYS_RESOURCE, which root lacks on this machine; use an unprivileged container"
        ),
        // Restores.
        Entry(
            pattern: "Cannot apply seals on memfd",
            sentence: "a program maps a sealed memfd for writing; CRIU cannot bring that back"),
        Entry(
            pattern: "No entry for reg-file-ID",
            sentence: "a program runs from memory (memfd), not from a file; CRIU cannot bring that back"),
        Entry(
            pattern: "has bad size",
            sentence:
                "a file has another size than when the checkpoint was made; restore files and state together, from one snapshot"
        ),
        Entry(
            pattern: "has bad build-ID",
            sentence:
                "a program or library file was replaced after the checkpoint was made; restore files and state together, from one snapshot"
        ),
        Entry(
            pattern: "Can't open file",
            sentence:
                "a file that was open when the checkpoint was made is missing; restore files and state together, from one snapshot"
        ),
        Entry(
            pattern: "No task found with sid",
            sentence:
                "a terminal was open that no process of the container controls; CRIU cannot bring that back"),
        Entry(
            pattern: "Found dangling tty",
            sentence:
                "a program holds the terminal of an exec session that is still open; end that session and try again"
        ),
        Entry(
            pattern: "vdso: Unexpected rt vDSO area bounds",
            sentence:
                "this CRIU is too old for the running kernel; install CRIU 4.2 or newer (scripts/criu-install)"
        ),
    ]

    private static func nested(_ kind: String) -> String {
        "a process is in a \(kind) namespace of its own; CRIU cannot save those. Stop it, or stop without --stateful"
    }
}
