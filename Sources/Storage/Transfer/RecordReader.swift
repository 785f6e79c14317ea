import Glibc

/// Takes records out of a socket. Whatever comes is only a claim of the peer's: every length has a limit.
final class RecordReader {
    private let socket: Int32
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
    private var position = 0
    private var filled = 0
    /// All bytes received.
    private(set) var total: UInt64 = 0
    /// Called after each piece was received.
    var afterReceiving: () -> Void = {}

    init(socket: Int32) { self.socket = socket }

    deinit { buffer.deallocate() }

    private func fill() throws {
        var got: Int
        repeat { got = read(socket, buffer.baseAddress, buffer.count) } while got < 0 && errno == EINTR
        if got <= 0 { throw StreamEnded() }
        position = 0
        filled = got
        total += UInt64(got)
        afterReceiving()
    }

    func byte() throws -> UInt8 {
        if position == filled { try fill() }
        defer { position += 1 }
        return buffer[position]
    }

    func number() throws -> UInt64 {
        var result: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            let next = try byte()
            result |= UInt64(next & 0x7f) << shift
            if next < 0x80 { return result }
        }
        throw MalformedStream("a number is too long")
    }

    /// A number that is at most `limit`.
    func number(upTo limit: UInt64, _ what: String) throws -> UInt64 {
        let value = try number()
        guard value <= limit else { throw MalformedStream("\(what) is too large") }
        return value
    }

    func signed() throws -> Int64 {
        let value = try number()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    /// Hands out `count` bytes, in pieces as they come.
    func bytes(_ count: Int, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        var rest = count
        while rest > 0 {
            if position == filled { try fill() }
            let part = min(rest, filled - position)
            try body(UnsafeRawBufferPointer(rebasing: buffer[position..<(position + part)]))
            position += part
            rest -= part
        }
    }

    /// Bytes with their number before them.
    func counted(upTo limit: Int, _ what: String) throws -> [UInt8] {
        let count = Int(try number(upTo: UInt64(limit), what))
        var result: [UInt8] = []
        result.reserveCapacity(count)
        try bytes(count) { result.append(contentsOf: $0) }
        return result
    }

    /// Reads and forgets until the other end has closed.
    func drain() {
        while true {
            do { try fill() } catch { return }
            position = filled
        }
    }
}

/// What the peer sent makes no sense.
struct MalformedStream: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
