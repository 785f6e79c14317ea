package import NIOCore
package import NIOWebSocket

/// Reads the frames of a websocket from bytes as they arrive.
///
/// What a data frame carries is handed on as soon as it is there: a frame that has come in part becomes several, as the
/// protocol lets anyone in between cut it up. So nothing is gathered and copied, however large the other end makes its
/// frames. Masks have been taken off.
package struct WebSocketFrameParser: Sendable {
    /// What the other end did that the protocol does not allow.
    package struct Violation: Error, Sendable, CustomStringConvertible {
        /// The code for the goodbye.
        package let code: UInt16
        /// What was wrong.
        package let description: String

        package init(code: UInt16, description: String) {
            self.code = code
            self.description = description
        }
    }

    /// What is left of a frame that has come in part.
    private struct Rest {
        var opcode: WebSocketOpcode
        var isLast: Bool
        var count: UInt64
        var mask: WebSocketMask?
    }

    private let fromClient: Bool
    private var bytes = ByteBuffer()
    private var rest: Rest?

    /// Reads what a client sends, which has to be masked, or what a server sends, which must not.
    package init(fromClient: Bool) { self.fromClient = fromClient }

    /// Takes bytes in.
    package mutating func take(_ new: ByteBuffer) {
        if bytes.readableBytes == 0 {
            bytes = new
        } else {
            bytes.writeImmutableBuffer(new)
        }
    }

    /// The next frame, or the next part of one; nil if more bytes are needed.
    package mutating func next() throws(Violation) -> WebSocketFrame? {
        if rest == nil { rest = try readHead() }
        guard let present = rest else { return nil }
        let available = Int(min(UInt64(bytes.readableBytes), present.count))
        let isWhole = UInt64(available) == present.count
        // Control frames are short, and mean nothing in part.
        if !isWhole, available == 0 || present.opcode.isControlOpcode { return nil }
        let data = payload(available, present.mask)
        var remaining = present
        remaining.count -= UInt64(available)
        remaining.opcode = .continuation
        remaining.mask = present.mask?.advanced(by: available)
        rest = isWhole ? nil : remaining
        return WebSocketFrame(fin: isWhole && present.isLast, opcode: present.opcode, data: data)
    }

    private mutating func payload(_ count: Int, _ mask: WebSocketMask?) -> ByteBuffer {
        guard let slice = bytes.readSlice(length: count) else { return ByteBuffer() }
        guard let mask else { return slice }
        // One pass that copies and unmasks: the bytes came in a buffer that others may hold.
        var plain = ByteBufferAllocator().buffer(capacity: count)
        plain.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { target in
            guard let start = target.baseAddress else { return 0 }
            slice.withUnsafeReadableBytes { mask.apply($0, to: start) }
            return count
        }
        return plain
    }

    /// Reads a frame's head; nil if it has not come whole.
    private mutating func readHead() throws(Violation) -> Rest? {
        let start = bytes.readerIndex
        guard let first = bytes.getInteger(at: start, as: UInt8.self),
            let second = bytes.getInteger(at: start + 1, as: UInt8.self)
        else { return nil }
        guard first & 0x70 == 0, let opcode = WebSocketOpcode(encodedWebSocketOpcode: first & 0x0F) else {
            throw Violation(code: 1002, description: "no extension was agreed on")
        }
        let (isLast, isMasked) = (first & 0x80 != 0, second & 0x80 != 0)
        guard isMasked == fromClient else {
            throw Violation(
                code: 1002,
                description: fromClient
                    ? "frames from a client must be masked" : "frames from a server must not be masked")
        }
        guard !opcode.isControlOpcode || (isLast && second & 0x7F <= 125) else {
            throw Violation(code: 1002, description: "control frames are short and whole")
        }
        var length = 2
        var count: UInt64
        switch second & 0x7F {
        case 126:
            guard let value = bytes.getInteger(at: start + length, as: UInt16.self) else { return nil }
            (count, length) = (UInt64(value), length + 2)
        case 127:
            guard let value = bytes.getInteger(at: start + length, as: UInt64.self) else { return nil }
            guard value < 1 << 62 else { throw Violation(code: 1009, description: "a frame without end") }
            (count, length) = (value, length + 8)
        case let short:
            count = UInt64(short)
        }
        var mask: WebSocketMask?
        if isMasked {
            guard let key = bytes.getBytes(at: start + length, length: 4).flatMap(WebSocketMaskingKey.init)
            else { return nil }
            (mask, length) = (WebSocketMask(key), length + 4)
        }
        bytes.moveReaderIndex(forwardBy: length)
        return Rest(opcode: opcode, isLast: isLast, count: count, mask: mask)
    }
}
