import Glibc
import LinuxSystem

/// The console of a container: reads what it prints, keeps the last of it, writes it to a log, and passes it
/// to whoever is attached.
final class MonitorConsole {
    /// How much is kept for those who attach later.
    private static let scrollbackLimit = 128 << 10
    /// How far one who is attached may lag behind before being let go.
    private static let lagLimit = 256 << 10

    let master: FileDescriptor
    /// Held so that the master is not hung up while nobody inside has the console open.
    private let slave: FileDescriptor?
    private var scrollback: [UInt8] = []
    private(set) var attached: [Attached] = []
    /// What was typed and did not fit into the terminal's queue yet.
    private(set) var typed: [UInt8] = []
    private let log: ConsoleLog

    /// One who is attached.
    final class Attached {
        let stream: FileDescriptor
        var pending: [UInt8] = []
        init(stream: FileDescriptor) { self.stream = stream }
    }

    /// The console behind a master. One that `goesOn` (its container was restored) begins with what it printed before.
    init(master: FileDescriptor, log path: String, goesOn: Bool) throws {
        self.master = master
        try master.setNonBlocking(true)
        slave = try? PTY(master: master).openSlave()
        log = ConsoleLog(path: path)
        if goesOn { scrollback = log.tail(Self.scrollbackLimit) }
    }

    /// What it has printed, the last of it.
    var recent: [UInt8] { Array(scrollback.suffix(Self.scrollbackLimit)) }

    /// Attaches somebody; the stream to give them.
    func attach() throws -> FileDescriptor {
        let (ours, theirs) = try UnixSocket.pair(.stream)
        try ours.setNonBlocking(true)
        attached.append(Attached(stream: ours))
        return theirs
    }

    /// Reads what was printed. False if there was nothing.
    @discardableResult
    func drain() -> Bool {
        guard let bytes = try? master.read(upTo: 4096), !bytes.isEmpty else { return false }
        keep(bytes)
        log.append(bytes)
        for each in attached { pass(bytes, to: each) }
        return true
    }

    /// Takes what somebody attached has typed, or notices that they have gone.
    func read(from each: Attached) {
        do {
            let bytes = try each.stream.read(upTo: 4096)
            if bytes.isEmpty { return detach(each) }
            typed += bytes
            flushTyped()
        } catch let error as SystemError where error.errno == EAGAIN {
        } catch {
            detach(each)
        }
    }

    /// Writes what was typed as far as the terminal takes it.
    func flushTyped() {
        guard !typed.isEmpty else { return }
        let count = typed.withUnsafeBytes { write(master.rawValue, $0.baseAddress, $0.count) }
        if count > 0 { typed.removeFirst(count) }
    }

    /// Sends one who lagged behind what they have missed.
    func flush(_ each: Attached) {
        let bytes = each.pending
        each.pending = []
        pass(bytes, to: each)
    }

    private func pass(_ bytes: [UInt8], to each: Attached) {
        guard each.pending.isEmpty else {
            each.pending += bytes
            if each.pending.count > Self.lagLimit { detach(each) }
            return
        }
        let sent = bytes.withUnsafeBytes {
            send(each.stream.rawValue, $0.baseAddress, $0.count, Self.sendFlags)
        }
        if sent < 0, errno != EAGAIN { return detach(each) }
        each.pending = Array(bytes.dropFirst(max(0, sent)))
    }

    private func detach(_ each: Attached) {
        each.stream.close()
        attached.removeAll { $0 === each }
    }

    private func keep(_ bytes: [UInt8]) {
        scrollback += bytes
        // Cut seldom, so that a chatty console does not copy the whole each time.
        if scrollback.count > Self.scrollbackLimit + (16 << 10) {
            scrollback = Array(scrollback.suffix(Self.scrollbackLimit))
        }
    }

    private static let sendFlags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
}
