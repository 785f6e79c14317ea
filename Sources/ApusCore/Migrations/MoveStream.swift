import Glibc
import LinuxSystem

/// Lets somebody who works with a socket of this machine talk to the other host through a websocket.
enum MoveStream {
    /// Runs `body` with one end of a pair of sockets whose other end leads through the websocket, both ways, to the same
    /// on the other host. Each end closes its own when it has sent everything, which LXD's mark tells the other.
    /// - Parameter answers: what whoever works here is told before the other host does.
    static func through<Value: Sendable>(
        _ socket: any MessageSocket, answers: PageAnswers? = nil,
        count: @escaping @Sendable (Int) -> Void = { _ in },
        _ body: @Sendable (FileDescriptor) async throws -> Value
    ) async throws -> Value {
        let (inner, outer) = try UnixSocket.pair(.stream)
        try outer.setNonBlocking(true)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await outgoing(outer, socket, answers, count) }
            group.addTask { try await incoming(socket, outer, answers, count) }
            do {
                let value = try await body(inner)
                inner.close()
                try await group.waitForAll()
                outer.close()
                return value
            } catch {
                inner.close()
                shutdown(outer.rawValue, Int32(SHUT_RDWR))
                group.cancelAll()
                // Why the stream ended says more than that it did.
                while let result = await group.nextResult() {
                    if case .failure(let reason as MigrationFailure) = result { throw reason.error }
                }
                outer.close()
                throw error
            }
        }
    }

    private static func outgoing(
        _ descriptor: FileDescriptor, _ socket: any MessageSocket, _ answers: PageAnswers?,
        _ count: @Sendable (Int) -> Void
    ) async throws {
        while let bytes = try await StreamPump.read(descriptor) {
            count(bytes.count)
            if let known = answers?.sent(bytes), !known.isEmpty {
                try await StreamPump.write(known, to: descriptor)
            }
            do { try await socket.send(bytes) } catch { throw MigrationFailure.lost }
        }
        do { try await socket.sendEnd() } catch { throw MigrationFailure.lost }
    }

    private static func incoming(
        _ socket: any MessageSocket, _ descriptor: FileDescriptor, _ answers: PageAnswers?,
        _ count: @Sendable (Int) -> Void
    ) async throws {
        while true {
            switch try await socket.receive() {
            case .data(let bytes, _):
                count(bytes.count)
                try await StreamPump.write(answers?.received(bytes) ?? bytes, to: descriptor)
            case .text: throw MigrationFailure.lost
            case .end:
                shutdown(descriptor.rawValue, Int32(SHUT_WR))
                return
            case nil:
                try Task.checkCancellation()
                shutdown(descriptor.rawValue, Int32(SHUT_RDWR))
                throw MigrationFailure.lost
            }
        }
    }
}

/// A stream that ended before its end mark.
private struct MigrationFailure: Error {
    let error: ServiceError
    static let lost = MigrationFailure(error: .failure("the connection to the other host was lost"))
}
