public import NIOCore
package import NIOWebSocket

/// What a websocket brought.
public enum WebSocketMessage: Sendable, Equatable {
    /// A whole text message.
    case text(String)
    /// Bytes of a binary message. Streams do not care where messages begin, so fragments come as they arrive.
    case bytes(ByteBuffer)
    /// The empty text message, which ends a stream while its websocket stays open.
    case endOfStream
}

/// Makes messages of frames: the rules of RFC 6455 for a client, without any input or output.
package struct WebSocketAssembler {
    /// What to do about a frame.
    package enum Action: Equatable {
        /// Hand a message on, or bytes of one.
        case deliver(WebSocketMessage)
        /// Answer a ping with the same bytes.
        case pong(ByteBuffer)
        /// Answer the close; nothing more comes.
        case close
        /// Nothing.
        case nothing
    }

    /// How much text one message may have.
    static let textLimit = 64 << 20

    private enum Fragment {
        case none
        case text(ByteBuffer)
        case binary
    }
    private var fragment = Fragment.none
    private let peer: Endpoint

    /// Reads what a daemon sends.
    package init(peer: Endpoint) { self.peer = peer }

    /// Whether a message has begun and not ended.
    package var isInMessage: Bool { if case .none = fragment { false } else { true } }

    /// Takes a frame in.
    package mutating func receive(_ frame: WebSocketFrame) throws -> Action {
        switch frame.opcode {
        case .ping: return .pong(frame.data)
        case .pong: return .nothing
        case .connectionClose: return .close
        case .binary:
            guard case .none = fragment else { throw broken("a message began inside another") }
            if !frame.fin { fragment = .binary }
            return deliver(frame.data)
        case .text:
            guard case .none = fragment else { throw broken("a message began inside another") }
            return try text(frame.data, ended: frame.fin)
        case .continuation:
            switch fragment {
            case .none: throw broken("a continuation without a beginning")
            case .binary:
                if frame.fin { fragment = .none }
                return deliver(frame.data)
            case .text(var begun):
                var more = frame.data
                begun.writeBuffer(&more)
                return try text(begun, ended: frame.fin)
            }
        default:
            throw broken("a frame of an unknown kind")
        }
    }

    private func deliver(_ bytes: ByteBuffer) -> Action {
        bytes.readableBytes == 0 ? .nothing : .deliver(.bytes(bytes))
    }

    private mutating func text(_ bytes: ByteBuffer, ended: Bool) throws -> Action {
        guard bytes.readableBytes <= Self.textLimit else {
            throw broken("a text message that never ends")
        }
        guard ended else {
            fragment = .text(bytes)
            return .nothing
        }
        fragment = .none
        return .deliver(bytes.readableBytes == 0 ? .endOfStream : .text(String(buffer: bytes)))
    }

    private func broken(_ what: String) -> ClientError {
        ClientError(.broken, "\(peer) broke the websocket protocol: \(what)")
    }
}
