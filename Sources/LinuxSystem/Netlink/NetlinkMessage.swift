/// A message for the kernel in the form of netlink: a fixed header of the family, then attributes.
public struct NetlinkMessage: Sendable, Hashable {
    /// What is asked, such as RTM_NEWLINK.
    public var type: UInt16
    /// NLM_F_… besides NLM_F_REQUEST.
    public var flags: UInt16
    /// The family's header and the attributes.
    public var payload: [UInt8]

    /// A message that has only its family's header yet.
    public init(_ type: UInt16, flags: UInt16 = 0, header: [UInt8]) {
        self.type = type
        self.flags = flags
        payload = header
    }

    /// NLM_F_ACK: answered also when all is well.
    public static let acknowledge: UInt16 = 0x4
    /// NLM_F_DUMP: everything there is.
    public static let dump: UInt16 = 0x300
    /// NLM_F_REPLACE: takes the place of what is there.
    public static let replace: UInt16 = 0x100
    /// NLM_F_EXCL: fails if it is there.
    public static let exclusive: UInt16 = 0x200
    /// NLM_F_CREATE: made if it is not there.
    public static let create: UInt16 = 0x400

    /// Adds an attribute.
    public mutating func add(_ type: UInt16, _ value: [UInt8]) {
        NetlinkBytes.append(UInt16(value.count + 4), to: &payload)
        NetlinkBytes.append(type, to: &payload)
        payload += value
        while payload.count % 4 != 0 { payload.append(0) }
    }

    /// Adds a number of 32 bits.
    public mutating func add(_ type: UInt16, _ value: UInt32) { add(type, NetlinkBytes.of(value)) }

    /// Adds a text, which the kernel wants to end with a zero.
    public mutating func add(_ type: UInt16, _ text: String) { add(type, Array(text.utf8) + [0]) }

    /// Adds attributes within an attribute, after a header of the inner one, if it has any.
    public mutating func addNested(
        _ type: UInt16, header: [UInt8] = [], _ body: (inout NetlinkMessage) -> Void
    ) {
        var inner = NetlinkMessage(0, header: header)
        body(&inner)
        add(type, inner.payload)
    }

    /// Adds a number of 32 bits in the network's order of bytes, as netfilter wants them.
    public mutating func addOrdered(_ type: UInt16, _ value: UInt32) {
        add(type, NetlinkBytes.of(value.bigEndian))
    }

    /// Adds a number of 64 bits in the network's order of bytes.
    public mutating func addOrdered(_ type: UInt16, _ value: UInt64) {
        add(type, NetlinkBytes.of(value.bigEndian))
    }

    /// What is sent: struct nlmsghdr, then the payload.
    func encoded(number: UInt32) -> [UInt8] {
        let request: UInt16 = 1
        var bytes: [UInt8] = []
        bytes.reserveCapacity(payload.count + 16)
        NetlinkBytes.append(UInt32(payload.count + 16), to: &bytes)
        NetlinkBytes.append(type, to: &bytes)
        NetlinkBytes.append(flags | request, to: &bytes)
        NetlinkBytes.append(number, to: &bytes)
        NetlinkBytes.append(UInt32(0), to: &bytes)
        return bytes + payload
    }
}

/// An attribute of a message from the kernel.
public struct NetlinkAttribute: Sendable, Hashable {
    /// Its number, without the bits that say how it is encoded.
    public let type: UInt16
    /// Its value.
    public let value: [UInt8]

    /// The attributes in some bytes; what is not whole is left out.
    public static func parse(_ bytes: some Collection<UInt8>) -> [NetlinkAttribute] {
        let bytes = Array(bytes)
        var result: [NetlinkAttribute] = []
        var offset = 0
        while offset + 4 <= bytes.count {
            let length = Int(NetlinkBytes.read(bytes, offset) as UInt16)
            guard length >= 4, offset + length <= bytes.count else { break }
            let type: UInt16 = NetlinkBytes.read(bytes, offset + 2)
            result.append(
                NetlinkAttribute(type: type & 0x3fff, value: Array(bytes[(offset + 4)..<(offset + length)])))
            offset += (length + 3) & ~3
        }
        return result
    }

    /// The value as a number of 32 bits.
    public var number: UInt32 { value.count >= 4 ? NetlinkBytes.read(value, 0) : 0 }

    /// The value as text.
    public var text: String { String(decoding: value.prefix { $0 != 0 }, as: UTF8.self) }
}

/// Numbers in the machine's order of bytes.
public enum NetlinkBytes {
    /// The bytes of a number.
    public static func of(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value) { Array($0) }
    }

    /// Adds a number.
    public static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    /// The number at a place; zero where the bytes end before it does.
    public static func read<Number: FixedWidthInteger>(_ bytes: [UInt8], _ offset: Int) -> Number {
        guard offset + MemoryLayout<Number>.size <= bytes.count else { return 0 }
        return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Number.self) }
    }
}
