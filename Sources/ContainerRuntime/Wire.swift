package import LinuxSystem

/// Puts values one after the other into bytes. The runtime speaks this instead of JSON so that the program
/// that waits beside each container stays small.
struct WireWriter {
    private(set) var bytes: [UInt8] = []

    mutating func byte(_ value: UInt8) { bytes.append(value) }
    mutating func flag(_ value: Bool) { byte(value ? 1 : 0) }
    mutating func uint32(_ value: UInt32) {
        for shift in [0, 8, 16, 24] { byte(UInt8(value >> shift & 0xff)) }
    }
    mutating func int32(_ value: Int32) { uint32(UInt32(bitPattern: value)) }
    mutating func uint64(_ value: UInt64) {
        uint32(UInt32(value & 0xffff_ffff))
        uint32(UInt32(value >> 32))
    }
    mutating func int64(_ value: Int64) { uint64(UInt64(bitPattern: value)) }
    mutating func data(_ value: [UInt8]) {
        uint32(UInt32(value.count))
        bytes += value
    }
    mutating func text(_ value: String) { data(Array(value.utf8)) }
    mutating func list<T>(_ values: some Collection<T>, _ each: (inout WireWriter, T) -> Void) {
        uint32(UInt32(values.count))
        for value in values { each(&self, value) }
    }
}

/// Takes values out of bytes that somebody else wrote: every length is checked.
struct WireReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func byte() throws -> UInt8 {
        guard let first = rest.popFirst() else { throw WireReader.malformed }
        return first
    }
    mutating func flag() throws -> Bool { try byte() != 0 }
    mutating func uint32() throws -> UInt32 {
        guard rest.count >= 4 else { throw WireReader.malformed }
        var value: UInt32 = 0
        for (index, byte) in rest.prefix(4).enumerated() { value |= UInt32(byte) << (8 * index) }
        rest = rest.dropFirst(4)
        return value
    }
    mutating func int32() throws -> Int32 { Int32(bitPattern: try uint32()) }
    mutating func uint64() throws -> UInt64 { UInt64(try uint32()) | UInt64(try uint32()) << 32 }
    mutating func int64() throws -> Int64 { Int64(bitPattern: try uint64()) }
    mutating func data() throws -> [UInt8] {
        let count = Int(try uint32())
        guard rest.count >= count else { throw WireReader.malformed }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }
    mutating func text() throws -> String { String(decoding: try data(), as: UTF8.self) }
    mutating func list<T>(_ each: (inout WireReader) throws -> T) throws -> [T] {
        let count = Int(try uint32())
        // An item takes a byte at least: a count that cannot be true must not make us reserve memory for it.
        guard count <= rest.count else { throw WireReader.malformed }
        var result: [T] = []
        for _ in 0..<count { result.append(try each(&self)) }
        return result
    }
    /// Nothing may be left over.
    func end() throws { if !rest.isEmpty { throw WireReader.malformed } }

    static let malformed = RuntimeError(
        .malformed, "a message on the runtime's control socket makes no sense")
}

/// Messages on a seqpacket socket. One too long for a packet travels in a memory file.
package enum WireSocket {
    private static let longest = 48 * 1024
    private static let hardLimit = 16 << 20

    package static func send(
        _ bytes: [UInt8], on socket: FileDescriptor, descriptors: [FileDescriptor] = [], wait: Bool = true
    ) throws {
        if bytes.count <= longest {
            try socket.send([0] + bytes, descriptors: descriptors, wait: wait)
        } else {
            let file = try FileDescriptor.memory(named: "apus-message")
            try file.write(bytes)
            try socket.send([1], descriptors: [file] + descriptors, wait: wait)
        }
    }

    /// The next message, or nil if the other end has closed.
    package static func receive(on socket: FileDescriptor, wait: Bool = true) throws -> SocketMessage? {
        var message = try socket.receive(wait: wait)
        if message.isTruncated { throw WireReader.malformed }
        guard let kind = message.bytes.first else { return nil }
        message.bytes.removeFirst()
        if kind == 1 {
            guard !message.descriptors.isEmpty else { throw WireReader.malformed }
            let file = message.descriptors.removeFirst()
            message.bytes = try file.readFromStart(limit: hardLimit)
        } else if kind != 0 {
            throw WireReader.malformed
        }
        return message
    }
}
