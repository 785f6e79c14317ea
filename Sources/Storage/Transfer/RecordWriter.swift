import CStorage
import Glibc
import LinuxSystem

/// Puts records into a socket: numbers, names and data one after another, in large pieces.
final class RecordWriter {
    /// Sent at once.
    static let capacity = 256 << 10

    private let socket: Int32
    private let buffer = UnsafeMutableRawBufferPointer.allocate(
        byteCount: RecordWriter.capacity, alignment: 4096)
    private var used = 0
    /// All bytes sent.
    private(set) var total: UInt64 = 0
    /// Called before each piece is sent.
    var beforeSending: () throws -> Void = {}

    init(socket: Int32) { self.socket = socket }

    deinit { buffer.deallocate() }

    /// Sends what is in the buffer.
    func flush() throws {
        if used == 0 { return }
        try beforeSending()
        var sent = 0
        while sent < used {
            guard let base = buffer.baseAddress else { return }
            let count = cstorage_send(socket, base + sent, used - sent)
            if count < 0 { throw StreamEnded() }
            sent += count
        }
        total += UInt64(used)
        used = 0
    }

    func byte(_ value: UInt8) throws {
        if used == buffer.count { try flush() }
        buffer[used] = value
        used += 1
    }

    /// Seven bits a byte, the lowest first.
    func number(_ value: UInt64) throws {
        var rest = value
        while rest >= 0x80 {
            try byte(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        try byte(UInt8(rest))
    }

    /// A number that may be negative.
    func signed(_ value: Int64) throws { try number(UInt64(bitPattern: (value << 1) ^ (value >> 63))) }

    func bytes(_ source: UnsafeRawBufferPointer) throws {
        var rest = source
        while !rest.isEmpty {
            if used == buffer.count { try flush() }
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(buffer.count - used))
            guard let from = part.baseAddress else { return }
            buffer.baseAddress?.advanced(by: used).copyMemory(from: from, byteCount: part.count)
            used += part.count
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(part.count))
        }
    }

    /// Bytes with their number before them.
    func counted(_ source: UnsafeRawBufferPointer) throws {
        try number(UInt64(source.count))
        try bytes(source)
    }

    /// A name, or a path.
    func name(_ name: UnsafePointer<CChar>) throws {
        try counted(UnsafeRawBufferPointer(start: name, count: strlen(name)))
    }

    func name(_ name: FileName) throws { try name.withPointer { try self.name($0) } }

    /// Lets `read` put bytes straight into the buffer behind a head of `head` bytes, which `finish` fills in when their
    /// number is known. At least `wanted` bytes (or what the buffer holds) can be put there. None read: none written.
    func direct(
        wanted: Int, head: Int, read: (UnsafeMutableRawBufferPointer) throws -> Int,
        finish: (_ head: UnsafeMutableRawBufferPointer, _ count: Int) -> Void
    ) throws -> Int {
        if buffer.count - used < head + min(wanted, 64 << 10) { try flush() }
        let room = UnsafeMutableRawBufferPointer(rebasing: buffer[(used + head)...])
        let count = try read(UnsafeMutableRawBufferPointer(rebasing: room.prefix(wanted)))
        if count == 0 { return 0 }
        finish(UnsafeMutableRawBufferPointer(rebasing: buffer[used..<(used + head)]), count)
        used += head + count
        return count
    }
}

/// The socket was closed by the other end before all was said.
struct StreamEnded: Error {}
