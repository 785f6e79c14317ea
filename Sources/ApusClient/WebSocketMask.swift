package import NIOWebSocket

/// The mask that clients put on what they send (RFC 6455, section 5.3), a machine word at a time.
package struct WebSocketMask: Sendable, Equatable {
    // The four bytes of the key, in memory order, twice.
    private let word: UInt64

    /// The mask of a key.
    package init(_ key: WebSocketMaskingKey) {
        let half = UInt32(key[0]) | UInt32(key[1]) << 8 | UInt32(key[2]) << 16 | UInt32(key[3]) << 24
        self.init(half: half)
    }

    private init(half: UInt32) { word = UInt64(half) << 32 | UInt64(half) }

    /// The mask as it stands so many bytes into the payload.
    package func advanced(by count: Int) -> WebSocketMask {
        let bits = UInt64(count & 3) * 8
        return WebSocketMask(half: UInt32(truncatingIfNeeded: word >> bits))
    }

    /// Puts the mask on bytes, or takes it off, on their way from one place to another (or to the same).
    package func apply(_ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer) {
        guard let from = source.baseAddress else { return }
        let (count, word) = (source.count, UInt64(littleEndian: self.word))
        var offset = 0
        while offset &+ 8 <= count {
            let value = from.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            target.storeBytes(of: value ^ word, toByteOffset: offset, as: UInt64.self)
            offset &+= 8
        }
        var rest = self.word
        while offset < count {
            let value = from.load(fromByteOffset: offset, as: UInt8.self)
            target.storeBytes(
                of: value ^ UInt8(truncatingIfNeeded: rest), toByteOffset: offset, as: UInt8.self)
            rest >>= 8
            offset &+= 1
        }
    }
}
