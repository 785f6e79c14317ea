import Foundation
import Glibc

/// What a program under test gave back.
struct Outcome: CustomStringConvertible, Sendable {
    /// What was run.
    let command: String
    /// As a shell gives it: the exit code, or 128 + the number of the signal.
    let code: Int32
    let output: Data
    let errors: Data
    let took: Duration

    /// Standard output as text, without the line end at its end.
    var text: String { Self.trim(output) }
    /// Standard error as text, without the line end at its end.
    var complaint: String { Self.trim(errors) }

    var description: String {
        "\(command)\n  exit code \(code) after \(took)\n  stdout: \(text.prefix(2000))\n  stderr: \(complaint.prefix(4000))"
    }

    private static func trim(_ data: Data) -> String {
        String(decoding: data, as: UTF8.self).trimmingCharacters(in: .newlines)
    }
}

/// A test that could not go on, and what it was at.
struct Trouble: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Where a program's input comes from, or its output goes to.
enum Stream: Sendable {
    /// The null device.
    case none
    /// A pipe that this process writes or reads.
    case bytes(Data)
    /// A pipe that stays open and silent.
    case open
    /// A file.
    case file(String)
}

/// A program in a session of its own, with its standard streams in hand.
final class Program: @unchecked Sendable {
    let pid: pid_t
    private let command: String
    private let started = ContinuousClock.now
    private var input: Int32
    private var pending: Data
    private let output: Int32
    private let errors: Int32
    /// Readable once the program has ended.
    private let ended: Int32
    private let lock = NSLock()
    private var status: Int32?
    private var collected = (output: Data(), errors: Data())

    /// Starts `arguments[0]` with the rest as its arguments.
    init(
        _ arguments: [String], environment: [String: String] = [:], input: Stream = .none,
        output: Stream = .bytes(Data()), errors: Stream = .bytes(Data()),
        terminal: String? = nil
    ) throws {
        command = arguments.joined(separator: " ")
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var usual = sigset_t()
        sigfillset(&usual)
        posix_spawnattr_setsigdefault(&attributes, &usual)
        posix_spawnattr_setflags(
            &attributes,
            Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF) | Int16(bitPattern: 0x80))  // SETSID

        var theirs: [Int32] = []
        defer { for descriptor in theirs { close(descriptor) } }
        func connect(_ stream: Stream, to number: Int32) throws -> Int32 {
            if let terminal {
                // The first terminal that the leader of a session opens becomes its controlling one.
                posix_spawn_file_actions_addopen(&actions, number, terminal, O_RDWR, 0)
                return -1
            }
            switch stream {
            case .none:
                posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0)
                return -1
            case .file(let path):
                let flags = number == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_APPEND
                posix_spawn_file_actions_addopen(&actions, number, path, flags, 0o644)
                return -1
            case .bytes, .open:
                let (reading, writing) = try makePipe()
                let (ours, other) = number == 0 ? (writing, reading) : (reading, writing)
                posix_spawn_file_actions_adddup2(&actions, other, number)
                theirs.append(other)
                return ours
            }
        }
        self.input = try connect(input, to: 0)
        self.output = try connect(output, to: 1)
        self.errors = try connect(errors, to: 2)
        if case .bytes(let data) = input { pending = data } else { pending = Data() }
        if case .bytes = input, pending.isEmpty {
            close(self.input)
            self.input = -1
        }
        if self.input >= 0 { _ = fcntl(self.input, F_SETFL, O_NONBLOCK) }
        var variables = ProcessInfo.processInfo.environment
        variables.merge(environment) { $1 }
        var spawned: pid_t = 0
        let result = withStrings(arguments) { words in
            withStrings(variables.map { "\($0)=\($1)" }) { settings in
                posix_spawnp(&spawned, arguments[0], &actions, &attributes, words, settings)
            }
        }
        let child = spawned
        guard result == 0 else {
            throw Trouble("cannot start \(command): \(String(cString: strerror(result)))")
        }
        pid = child
        let (reading, writing) = try makePipe()
        ended = reading
        // The one blocking wait; everything else polls descriptors.
        Thread.detachNewThread { [weak self] in
            var status: Int32 = 0
            while waitpid(child, &status, 0) < 0 && errno == EINTR {}
            self?.note(status: status)
            close(writing)
        }
    }

    deinit {
        for descriptor in [input, output, errors, ended] where descriptor >= 0 { close(descriptor) }
    }

    private func note(status: Int32) {
        lock.withLock { self.status = status }
    }

    /// Whether it has not ended.
    var isRunning: Bool {
        var look = pollfd(fd: ended, events: Int16(POLLIN), revents: 0)
        return poll(&look, 1, 0) == 0
    }

    /// What came on standard output so far.
    var outputSoFar: String {
        lock.withLock { String(decoding: collected.output, as: UTF8.self) }
    }

    /// Sends it a signal.
    func signal(_ number: Int32) {
        if isRunning { kill(pid, number) }
    }

    /// Adds to its standard input, which has to be `.open`.
    func write(_ text: String) { pending.append(Data(text.utf8)) }

    /// Ends its standard input, once everything pending has been written.
    func closeInput() throws {
        try pump(for: .seconds(30), until: { self.pending.isEmpty }, waitingFor: "its input to be read")
        if input >= 0 { close(input) }
        input = -1
    }

    /// Waits until it has ended, and for its output. Kills it after `limit`, and says what it waited for.
    func wait(limit: Duration = .seconds(60)) throws -> Outcome {
        do {
            try pump(for: limit, until: nil, waitingFor: "its end")
        } catch {
            kill(-pid, SIGKILL)
            kill(pid, SIGKILL)
            throw error
        }
        return lock.withLock {
            let status = self.status ?? 0
            let signal = status & 0x7f
            return Outcome(
                command: command, code: signal == 0 ? (status >> 8) & 0xff : 128 + signal,
                output: collected.output, errors: collected.errors, took: ContinuousClock.now - started)
        }
    }

    /// Waits until standard output holds what `match` looks for.
    func wait(limit: Duration = .seconds(30), for what: String, until match: @escaping (String) -> Bool)
        throws
    {
        try pump(for: limit, until: { match(self.outputSoFar) }, waitingFor: what)
    }

    /// Moves bytes until `done` says so, or, without it, until the program has ended and its output too.
    private func pump(for limit: Duration, until done: (() -> Bool)?, waitingFor what: String) throws {
        let deadline = ContinuousClock.now + limit
        var open: Set<Int32> = Set([output, errors].filter { $0 >= 0 })
        var over = false
        var grace: ContinuousClock.Instant?
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            if let done, done() { return }
            if over && open.isEmpty { return }
            // A grandchild may hold the pipes; two seconds after the end is enough.
            if let grace, ContinuousClock.now > grace { return }
            if ContinuousClock.now > deadline {
                let seen = lock.withLock { (collected.output.suffix(1000), collected.errors.suffix(1000)) }
                throw Trouble(
                    """
                    waited \(limit) for \(what): \(command)
                      stdout: \(String(decoding: seen.0, as: UTF8.self))
                      stderr: \(String(decoding: seen.1, as: UTF8.self))
                    """)
            }
            var look = open.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            if !over { look.append(pollfd(fd: ended, events: Int16(POLLIN), revents: 0)) }
            if input >= 0, !pending.isEmpty {
                look.append(pollfd(fd: input, events: Int16(POLLOUT), revents: 0))
            }
            guard poll(&look, nfds_t(look.count), 100) > 0 else { continue }
            for item in look where item.revents != 0 {
                if item.fd == ended {
                    over = true
                    grace = ContinuousClock.now + .seconds(2)
                } else if item.fd == input {
                    feed()
                } else {
                    let count = read(item.fd, &buffer, buffer.count)
                    if count <= 0 {
                        open.remove(item.fd)
                    } else {
                        lock.withLock {
                            if item.fd == output {
                                collected.output.append(contentsOf: buffer[0..<count])
                            } else {
                                collected.errors.append(contentsOf: buffer[0..<count])
                            }
                        }
                    }
                }
            }
        }
    }

    private func feed() {
        let count = pending.withUnsafeBytes { Glibc.write(input, $0.baseAddress, min($0.count, 1 << 16)) }
        if count > 0 {
            pending = Data(pending.dropFirst(count))
        } else if errno != EAGAIN {
            pending = Data()
        }
        if pending.isEmpty, !keepsInputOpen {
            close(input)
            input = -1
        }
    }

    /// Set for a program whose input goes on after what is pending.
    var keepsInputOpen = false
}

/// Runs a program to its end.
@discardableResult
func run(
    _ arguments: [String], environment: [String: String] = [:], input: Stream = .none,
    output: Stream = .bytes(Data()), limit: Duration = .seconds(60)
) throws -> Outcome {
    try Program(
        arguments, environment: environment, input: input, output: output
    ).wait(limit: limit)
}

/// Runs a program of the host that has to succeed.
@discardableResult
func must(_ arguments: [String], limit: Duration = .seconds(120)) throws -> Outcome {
    let outcome = try run(arguments, limit: limit)
    guard outcome.code == 0 else { throw Trouble("\(outcome)") }
    return outcome
}

/// A pipe that programs started later do not inherit.
func makePipe() throws -> (reading: Int32, writing: Int32) {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw Trouble("cannot make a pipe: errno \(errno)") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
}

/// Hands `body` the strings as a C array of C strings, ended by a null.
private func withStrings<R>(
    _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) throws -> R
) rethrows -> R {
    let copies = strings.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return try body(copies + [nil])
}
