package import NIOCore
package import NIOWebSocket

/// Frames on one side, bytes on the other. What arrives is passed on without being gathered; what is sent is masked on its
/// way into the buffers that go out, in pieces that the heap has at hand.
package final class WebSocketCodec: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = WebSocketFrame
    package typealias OutboundIn = WebSocketFrame
    package typealias OutboundOut = ByteBuffer

    /// How much of a frame goes into one buffer. Larger blocks of memory would be had from the kernel for each.
    static let pieceSize = 64 << 10

    private var parser: WebSocketFrameParser
    private var hasFailed = false

    /// The codec of an end that talks to a client, or to a server.
    package init(toClient: Bool) { parser = WebSocketFrameParser(fromClient: toClient) }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasFailed else { return }
        parser.take(unwrapInboundIn(data))
        do {
            while let frame = try parser.next() { context.fireChannelRead(wrapInboundOut(frame)) }
        } catch {
            hasFailed = true
            context.fireErrorCaught(error)
        }
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let frame = unwrapOutboundIn(data)
        let payload = frame.data
        let head = Self.head(of: frame)
        guard let key = frame.maskKey else {
            guard payload.readableBytes > 0 else {
                return context.write(wrapOutboundOut(head), promise: promise)
            }
            context.write(wrapOutboundOut(head), promise: nil)
            return context.write(wrapOutboundOut(payload), promise: promise)
        }
        let mask = WebSocketMask(key)
        var buffer = head
        var offset = 0
        repeat {
            let count = min(Self.pieceSize, payload.readableBytes - offset)
            buffer.writeMasked(payload, from: offset, count: count, mask.advanced(by: offset))
            offset += count
            let isLast = offset == payload.readableBytes
            context.write(wrapOutboundOut(buffer), promise: isLast ? promise : nil)
            if !isLast {
                buffer = ByteBufferAllocator().buffer(
                    capacity: min(Self.pieceSize, payload.readableBytes - offset))
            }
        } while offset < payload.readableBytes
    }

    /// The head of a frame, with room behind it for its first piece if that is to be masked.
    private static func head(of frame: WebSocketFrame) -> ByteBuffer {
        let count = frame.data.readableBytes
        let room = frame.maskKey == nil ? 0 : min(pieceSize, count)
        var head = ByteBufferAllocator().buffer(capacity: 14 + room)
        head.writeInteger(UInt8(webSocketOpcode: frame.opcode) | (frame.fin ? 0x80 : 0))
        let masked: UInt8 = frame.maskKey == nil ? 0 : 0x80
        switch count {
        case ...125:
            head.writeInteger(masked | UInt8(count))
        case ...0xFFFF:
            head.writeInteger(masked | 126)
            head.writeInteger(UInt16(count))
        default:
            head.writeInteger(masked | 127)
            head.writeInteger(UInt64(count))
        }
        if let key = frame.maskKey { head.writeBytes(key) }
        return head
    }
}

extension ByteBuffer {
    /// Appends a part of another buffer with the mask put on.
    fileprivate mutating func writeMasked(
        _ payload: ByteBuffer, from offset: Int, count: Int, _ mask: WebSocketMask
    ) {
        writeWithUnsafeMutableBytes(minimumWritableBytes: count) { target in
            guard count > 0, let start = target.baseAddress else { return 0 }
            payload.withUnsafeReadableBytes {
                mask.apply(.init(rebasing: $0[offset..<offset + count]), to: start)
            }
            return count
        }
    }
}
