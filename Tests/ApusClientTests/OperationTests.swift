import ApusAPI
import ApusClient
import NIOCore
import Synchronization
import Testing

/// Waiting for operations.
struct OperationTests {
    private static let running = #"{"id":"op1","class":"task","status_code":103,"metadata":null}"#

    @Test func shortOperationsCostOneRequest() async throws {
        let requests = Mutex(0)
        let server = TestServer(answer: { seen in
            requests.withLock { $0 += 1 }
            #expect(seen.uri == "/1.0/operations/op1/wait")
            return .sync(#"{"id":"op1","status_code":200,"metadata":{"fingerprint":"abc"}}"#)
        })
        try await server.run { path in
            var operation = Operation()
            operation.id = "op1"
            operation.statusCode = 103
            let ended = try await Client(.unixSocket(path: path)).wait(for: operation, progress: { _ in })
            #expect(ended.metadata?["fingerprint"]?.stringValue == "abc")
        }
        #expect(requests.withLock { $0 } == 1)
    }

    @Test(arguments: [
        (
            #"{"id":"op1","status_code":400,"err":"no space left"}"#,
            ClientError(.operationFailed, "no space left")
        ),
        (
            #"{"id":"op1","status_code":401,"err":""}"#,
            ClientError(.operationCancelled, "the operation was cancelled")
        ),
    ])
    func failuresAreThrown(ended: String, error: ClientError) async throws {
        let server = TestServer(answer: { _ in .sync(ended) })
        try await server.run { path in
            var operation = Operation()
            operation.id = "op1"
            operation.statusCode = 103
            let waited = operation
            await #expect(throws: error) {
                try await Client(.unixSocket(path: path)).wait(for: waited)
            }
        }
    }

    @Test func longOnesReportProgress() async throws {
        let seenProgress = AsyncStream.makeStream(of: Void.self)
        let server = TestServer(
            answer: { seen in
                if seen.uri.hasSuffix("/wait") {
                    for await _ in seenProgress.stream { break }
                    return .sync(#"{"id":"op1","status_code":200}"#)
                }
                return .sync(
                    #"{"id":"op1","status_code":103,"metadata":{"apus_work":{"stage":"building","percent":10}}}"#
                )
            },
            socket: { _, frames, writer in
                for (id, percent) in [("other", 99), ("op1", 50)] {
                    try await writer.text(
                        #"{"type":"operation","timestamp":"","metadata":{"id":"\#(id)","metadata":"#
                            + #"{"apus_work":{"stage":"building","percent":\#(percent)}}}}"#)
                }
                for try await _ in frames {}
            })
        try await server.run { path in
            var operation = Operation()
            operation.id = "op1"
            operation.statusCode = 103
            let percents = Mutex<[Int]>([])
            try await Client(.unixSocket(path: path)).wait(for: operation, after: .zero) { progress in
                percents.withLock { $0.append(progress.percent ?? -1) }
                if progress.percent == 50 { seenProgress.continuation.finish() }
            }
            #expect(percents.withLock { $0 } == [10, 50])
        }
    }
}
