import Foundation
import Glibc

/// A program on a terminal of its own, as in a user's window.
final class Terminal {
    private let master: Int32
    private let slave: String
    private let program: Program
    private var seen = ""

    /// Starts a program on a new terminal of the given size.
    init(_ arguments: [String], environment: [String: String], columns: Int = 80, rows: Int = 24) throws {
        master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var number: UInt32 = 0
        var locked: Int32 = 0
        guard master >= 0, ioctl(master, 0x4004_5431, &locked) == 0, ioctl(master, 0x8004_5430, &number) == 0
        else {
            throw Trouble("cannot make a terminal: errno \(errno)")  // TIOCSPTLCK, TIOCGPTN
        }
        slave = "/dev/pts/\(number)"
        Self.resize(master, columns: columns, rows: rows)
        program = try Program(
            arguments, environment: environment.merging(["TERM": "xterm"]) { $1 }, terminal: slave)
    }

    deinit { close(master) }

    /// Changes the size of the window.
    func resize(columns: Int, rows: Int) { Self.resize(master, columns: columns, rows: rows) }

    private static func resize(_ master: Int32, columns: Int, rows: Int) {
        var size = winsize(ws_row: UInt16(rows), ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(master, UInt(TIOCSWINSZ), &size)
    }

    /// Types.
    func type(_ text: String) { _ = Glibc.write(master, text, text.utf8.count) }

    /// Everything on the screen so far.
    var screen: String { seen }

    /// Waits until what came since the last call holds `pattern`; gives what came, up to and with it.
    @discardableResult
    func wait(for pattern: String, limit: Duration = .seconds(20)) throws -> String {
        let deadline = ContinuousClock.now + limit
        while true {
            if let range = seen.range(of: pattern, options: .regularExpression) {
                let found = String(seen[..<range.upperBound])
                seen = String(seen[range.upperBound...])
                return found
            }
            guard ContinuousClock.now < deadline else {
                throw Trouble(
                    "waited \(limit) for \(pattern) on the terminal, which shows: \(seen.debugDescription)")
            }
            guard readMore(milliseconds: 100) else { continue }
        }
    }

    /// Waits until the program has ended.
    func waitForEnd(limit: Duration = .seconds(20)) throws -> Outcome {
        let deadline = ContinuousClock.now + limit
        while program.isRunning {
            guard ContinuousClock.now < deadline else {
                program.signal(SIGKILL)
                throw Trouble(
                    "waited \(limit) for the end on the terminal, which shows: \(seen.debugDescription)")
            }
            _ = readMore(milliseconds: 50)
        }
        while readMore(milliseconds: 0) {}
        return try program.wait()
    }

    /// Sends a signal to the program.
    func signal(_ number: Int32) { program.signal(number) }

    private func readMore(milliseconds: Int32) -> Bool {
        var look = pollfd(fd: master, events: Int16(POLLIN), revents: 0)
        guard poll(&look, 1, milliseconds) > 0, look.revents & Int16(POLLIN) != 0 else { return false }
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        let count = read(master, &buffer, buffer.count)
        guard count > 0 else { return false }
        seen += String(decoding: buffer[0..<count], as: UTF8.self)
        return true
    }
}
