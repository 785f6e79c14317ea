import NIOCore
import NIOTLS

/// Waits until a connection is secure, then has the rest of its pipeline made. Whatever goes wrong before that, and a
/// time limit for connecting and for TLS together, ends in one failure.
final class SecureStart<Output: Sendable>: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let limit: TimeAmount
    private let result: EventLoopPromise<Output>
    private let initializer: @Sendable (any Channel) -> EventLoopFuture<Output>
    private var timer: Scheduled<Void>?
    private var isFinished = false

    init(
        limit: TimeAmount, result: EventLoopPromise<Output>,
        initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Output>
    ) {
        self.limit = limit
        self.result = result
        self.initializer = initializer
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: limit) { [limit] in
            let (start, context) = bound.value
            start.fail(ChannelError.connectTimeout(limit), context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted = event as? TLSUserEvent, !isFinished {
            finish()
            initializer(context.channel).cascade(to: result)
            context.fireUserInboundEventTriggered(event)
            context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
            return
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if isFinished { return context.fireErrorCaught(error) }
        fail(error, context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(ChannelError.eof, context)
        context.fireChannelInactive()
    }

    // A connection that nobody answers ends without having been active.
    func handlerRemoved(context: ChannelHandlerContext) {
        guard !isFinished else { return }
        finish()
        result.fail(ChannelError.eof)
    }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        guard !isFinished else { return }
        finish()
        result.fail(error)
        context.close(promise: nil)
    }

    private func finish() {
        isFinished = true
        timer?.cancel()
        timer = nil
    }
}
