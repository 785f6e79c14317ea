import NIOCore
import Synchronization

/// Lets a sender be one large frame ahead of the event loop, and no more.
///
/// A channel says that it is full once its loop has taken a frame. Somebody who makes frames faster than the loop encrypts
/// them would pile up any number of them before that.
final class SendingTurn: Sendable {
    /// Frames below this are sent at once.
    private static let large = 32 << 10

    private let loop: any EventLoop
    private let taken = Mutex<EventLoopFuture<Void>?>(nil)

    init(_ loop: any EventLoop) { self.loop = loop }

    /// Waits until the loop has taken the large frame before.
    func wait() async throws {
        guard let before = taken.withLock({ $0.take() }) else { return }
        try await before.get()
    }

    /// Notes that a frame is on its way to the loop.
    func passed(_ count: Int) {
        guard count >= Self.large else { return }
        let now = loop.submit {}
        taken.withLock { $0 = now }
    }
}
