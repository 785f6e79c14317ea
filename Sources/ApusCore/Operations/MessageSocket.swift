/// What a client sent on a websocket, as the services see it.
public enum ClientMessage: Sendable, Equatable {
    /// Bytes of a binary message, which may come in several pieces, and whether it ends with them. Streams do not care.
    case data([UInt8], isLast: Bool)
    /// A whole text message.
    case text(String)
    /// The empty text message: LXD's mark for the end of one stream, while the socket stays open.
    case end
}

/// A connected websocket, as the services see it: whole texts, streamed bytes, LXD's end mark.
public protocol MessageSocket: Sendable {
    /// The next message; nil once the client has gone. For one task at a time.
    func receive() async throws -> ClientMessage?
    /// Sends bytes; returns when the client can take more.
    func send(_ bytes: [UInt8]) async throws
    /// Sends LXD's mark for the end of a stream.
    func sendEnd() async throws
    /// Has the socket end `limit` after the other end has last answered; for one that is always read.
    func noticeLoss(within limit: Duration) async
}
