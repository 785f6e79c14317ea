package import NIOCore
package import NIOWebSocket

/// What the frames of a websocket mean, one after the other. A pure value: frames in, what to do out.
package struct FrameAssembler: Sendable {
    /// What to do with a frame.
    package enum Action: Equatable, Sendable {
        /// Nothing to do.
        case none
        /// Bytes of a binary message, or of a part of one, and whether the message ends with them.
        case data(ByteBuffer, isLast: Bool)
        /// A whole text message; an empty one is LXD's end mark.
        case text(String)
        /// Answer a ping.
        case pong(ByteBuffer)
        /// The client says goodbye: answer with the same code, and close.
        case close(UInt16?)
        /// The client broke the protocol: say so, and close.
        case fail(UInt16, String)
    }

    private enum Message {
        case binary
        case text(ByteBuffer)
    }

    private var message: Message?
    private let maxText: Int

    /// Reads the frames of a client, with their masks taken off.
    /// - Parameter maxText: the largest text message.
    package init(maxText: Int = 1 << 16) { self.maxText = maxText }

    /// Takes the next frame.
    package mutating func take(_ frame: WebSocketFrame) -> Action {
        if frame.rsv1 || frame.rsv2 || frame.rsv3 { return .fail(1002, "no extension was agreed on") }
        let data = frame.data
        switch frame.opcode {
        case .ping, .pong, .connectionClose:
            guard frame.fin, data.readableBytes <= 125 else {
                return .fail(1002, "control frames are short and whole")
            }
            return control(frame.opcode, data)
        case .binary:
            guard message == nil else { return .fail(1002, "a new message began inside another") }
            if !frame.fin { message = .binary }
            return data.readableBytes == 0 ? .none : .data(data, isLast: frame.fin)
        case .text:
            guard message == nil else { return .fail(1002, "a new message began inside another") }
            return text(ByteBuffer(), adding: data, isLast: frame.fin)
        case .continuation:
            switch message {
            case nil:
                return .fail(1002, "a continuation without a message")
            case .binary:
                if frame.fin { message = nil }
                // An empty last piece says that the message is whole.
                return data.readableBytes == 0 && !frame.fin ? .none : .data(data, isLast: frame.fin)
            case .text(let begun):
                return text(begun, adding: data, isLast: frame.fin)
            }
        default:
            return .fail(1002, "an unknown kind of frame")
        }
    }

    private mutating func text(_ begun: ByteBuffer, adding data: ByteBuffer, isLast: Bool) -> Action {
        var whole = begun
        whole.writeImmutableBuffer(data)
        guard whole.readableBytes <= maxText else {
            return .fail(1009, "a text message may have \(maxText) bytes")
        }
        guard isLast else {
            message = .text(whole)
            return .none
        }
        message = nil
        guard let text = String(validating: whole.readableBytesView, as: UTF8.self) else {
            return .fail(1007, "a text message must be UTF-8")
        }
        return .text(text)
    }

    private func control(_ opcode: WebSocketOpcode, _ data: ByteBuffer) -> Action {
        switch opcode {
        case .ping:
            return .pong(data)
        case .connectionClose:
            guard data.readableBytes != 1 else { return .fail(1002, "a close frame with half a code") }
            return .close(data.getInteger(at: data.readerIndex, as: UInt16.self))
        default:
            return .none
        }
    }
}
