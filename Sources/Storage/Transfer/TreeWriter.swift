import CStorage
import Glibc
import LinuxSystem

/// Puts the entries of a tree into a stream, record by record.
final class TreeWriter {
    let records: RecordWriter
    private let content: ContentWriter
    private let attributes = AttributeWriter()
    private let reader: RecordReader
    private let socket: Int32
    /// What this pass has sent.
    private(set) var report = PassReport()
    /// Files found to have several names, by inode: the path of the first that was sent.
    private var links: [UInt64: FileName] = [:]
    /// Whether a name was made or taken away in the directory that was entered: there it has other times then.
    private(set) var hasNewNames = false

    /// Begins a pass.
    init(socket: Int32, pass: TransferPass, onProgress: @escaping (PassReport) -> Void) throws {
        self.socket = socket
        records = RecordWriter(socket: socket)
        content = ContentWriter(records)
        reader = RecordReader(socket: socket)
        records.beforeSending = { [unowned self] in
            try self.checkForRefusal()
            self.report.bytes = self.content.bytes
            onProgress(self.report)
        }
        try records.byte(TreeRecord.begin.rawValue)
        try records.number(TreeFormat.version)
        try records.byte(pass.rawValue)
    }

    /// Takes in what the other side has already, which it tells before the first pass; nil: nothing. Nothing was sent
    /// until then.
    func readIndex() throws -> IndexedDirectory? {
        try readReply() == .index ? try TreeIndex.read(from: reader) : nil
    }

    // MARK: Directories

    /// What follows is in this directory.
    func enter(_ path: FileName) throws {
        hasNewNames = false
        try begin(.enter)
        try records.name(path)
    }

    /// Makes a directory, whose attributes come when it was filled.
    func makeDirectory(_ name: UnsafePointer<CChar>) throws {
        report.copied += 1
        try begin(.directory)
        try records.name(name)
    }

    /// The attributes of the directory that was entered.
    func writeAttributes(of directory: Int32, _ stat: FileStat, path: FileName) throws {
        try begin(.attributes)
        try path.withPointer { try attributes.write(stat, of: directory, path: $0, to: records) }
    }

    /// Takes a name away, whatever has it.
    func remove(_ name: UnsafePointer<CChar>) throws {
        report.removed += 1
        try begin(.remove)
        try records.name(name)
    }

    // MARK: Entries

    /// A file with all its content; with `sums`, noting what was sent.
    func writeFile(_ name: UnsafePointer<CChar>, _ file: Int32, _ stat: FileStat, sums: inout BlockSums?)
        throws
    {
        try begin(.file)
        report.copied += 1
        try records.name(name)
        try attributes.write(stat, of: file, path: name, to: records)
        if var noted = sums {
            try content.writeChanges(file, stat, since: &noted, path: name)
            sums = noted
        } else {
            try content.writeAll(file, stat, path: name)
        }
    }

    /// A file that the other side has, with the blocks that have changed.
    func updateFile(_ name: UnsafePointer<CChar>, _ file: Int32, _ stat: FileStat, sums: inout BlockSums)
        throws
    {
        try begin(.update)
        report.copied += 1
        try records.name(name)
        try attributes.write(stat, of: file, path: name, to: records)
        try content.writeChanges(file, stat, since: &sums, path: name)
    }

    /// A file that the other side has, of which only the attributes are others.
    func updateAttributes(_ name: UnsafePointer<CChar>, _ file: Int32, _ stat: FileStat) throws {
        try begin(.update)
        report.copied += 1
        try records.name(name)
        try attributes.write(stat, of: file, path: name, to: records)
        try records.byte(ContentPiece.end.rawValue)
        try records.number(UInt64(stat.size))
    }

    /// A symlink, fifo, socket or device. False if a symlink has vanished.
    func writeSpecial(_ name: UnsafePointer<CChar>, in directory: Int32, _ stat: FileStat) throws -> Bool {
        guard stat.isSymlink else {
            try begin(.special)
            report.copied += 1
            try records.name(name)
            try attributes.write(stat, ofSpecial: name, in: directory, to: records)
            try records.number(stat.rdev)
            return true
        }
        return try withUnsafeTemporaryAllocation(byteCount: Int(PATH_MAX), alignment: 1) { room in
            guard let base = room.baseAddress else { return false }
            let length = readlinkat(directory, name, base.assumingMemoryBound(to: CChar.self), room.count)
            if length < 0 { return false }
            try begin(.symlink)
            report.copied += 1
            try records.name(name)
            try attributes.write(stat, ofSpecial: name, in: directory, to: records)
            try records.counted(UnsafeRawBufferPointer(rebasing: room[..<length]))
            return true
        }
    }

    /// Another name of the file at `path`.
    func writeLink(_ name: UnsafePointer<CChar>, to path: FileName) throws {
        try begin(.link)
        report.copied += 1
        try records.name(name)
        try records.name(path)
    }

    /// The path under which a file of several names was sent already; else it is noted to be sent as `path` now.
    func firstName(of inode: UInt64, or path: @autoclosure () -> FileName) -> FileName? {
        if let known = links[inode] { return known }
        links[inode] = path()
        return nil
    }

    private func begin(_ record: TreeRecord) throws {
        report.entries += 1
        switch record {
        case .directory, .file, .symlink, .special, .link, .remove: hasNewNames = true
        default: break
        }
        try records.byte(record.rawValue)
    }

    // MARK: The end

    /// Ends the pass and waits until the other side has all of it.
    func finish() throws -> PassReport {
        try begin(.end)
        try records.flush()
        try readReply()
        report.bytes = content.bytes
        return report
    }

    /// Asks, before more is sent, whether the other side has given up.
    private func checkForRefusal() throws {
        var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        if poll(&entry, 1, 0) > 0, entry.revents & Int16(POLLIN) != 0 { try readReply() }
    }

    /// Takes in what the other side says at the end, or instead of it.
    @discardableResult
    private func readReply() throws -> TreeReply {
        switch TreeReply(rawValue: try reader.byte()) {
        case .some(let reply) where reply != .failed: return reply
        case .some:
            let reason = try reader.counted(upTo: TreeFormat.longestMessage, "a message")
            throw PeerRefusal(reason: String(decoding: reason, as: UTF8.self))
        case nil: throw MalformedStream("the answer is none")
        }
    }
}

/// What stopped the other side.
struct PeerRefusal: Error { let reason: String }
