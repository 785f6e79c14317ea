import ApusAPI
import ApusCore
import Foundation
import Testing

@Suite("Operations", .timeLimit(.minutes(1)))
struct OperationTests {
    private func service() -> (OperationService, EventHub) {
        let events = EventHub()
        return (OperationService(events: events), events)
    }

    @Test("Pending, running, success: one event each, in this order, with one id")
    func lifeCycle() async throws {
        let (operations, events) = service()
        let stream = events.listen([.operation])
        let begun = operations.start("Testing", resources: ["instances": ["c1"]]) { _ in ["return": 3] }
        #expect(begun.state == .running)
        #expect(begun.resources?["containers"] == ["/1.0/containers/c1"])
        let ended = try await operations.wait(begun.id, timeout: nil)
        #expect(ended.state == .success)
        #expect(ended.metadata?["return"] == 3)
        var seen: [Int64] = []
        for await json in stream {
            let event = try APIJSON.decode(Event.self, from: json)
            #expect(event.metadata?["id"] == .string(begun.id))
            seen.append(event.metadata?["status_code"]?.intValue ?? 0)
            if seen.last == 200 { break }
        }
        #expect(seen == [105, 103, 200])
    }

    @Test("A failure has its text and keeps its metadata")
    func failure() async throws {
        let (operations, _) = service()
        let begun = operations.start("Testing", metadata: ["a": 1]) { handle in
            handle.set(["b": 2])
            throw ServiceError.badRequest("no such luck")
        }
        let ended = try await operations.wait(begun.id, timeout: .seconds(10))
        #expect(ended.state == .failure)
        #expect(ended.err == "no such luck")
        #expect(ended.metadata == ["a": 1, "b": 2])
    }

    @Test("Cancelling ends the task; what cannot be cancelled says so")
    func cancel() async throws {
        let (operations, _) = service()
        let fixed = operations.start("Testing") { _ in
            try await Task.sleep(for: .seconds(60)); return nil
        }
        #expect(throws: ServiceError.self) { try operations.cancel(fixed.id) }
        let begun = operations.start("Testing", mayCancel: true) { _ in
            try await Task.sleep(for: .seconds(60))
            return nil
        }
        try operations.cancel(begun.id)
        let ended = try await operations.wait(begun.id, timeout: .seconds(10))
        #expect(ended.state == .cancelled)
        #expect(throws: ServiceError.self) { try operations.cancel(begun.id) }
        #expect(throws: ServiceError.self) { try operations.get("none") }
    }

    @Test("Waiting ends with the timeout")
    func timeout() async throws {
        let (operations, _) = service()
        let begun = operations.start("Testing", mayCancel: true) { _ in
            try await Task.sleep(for: .seconds(60))
            return nil
        }
        let still = try await operations.wait(begun.id, timeout: .milliseconds(20))
        #expect(still.state == .running)
        #expect(try await operations.wait(begun.id, timeout: .zero).state == .running)
        try operations.cancel(begun.id)
    }

    @Test("A listener that does not keep up is let go, the others hear everything")
    func slowListener() async throws {
        let events = EventHub()
        let slow = events.listen([.lifecycle])
        for index in 0...EventHub.backlog { events.lifecycle("test", "\(index)") }
        var count = 0
        for await _ in slow { count += 1 }
        #expect(count == EventHub.backlog)
    }

    @Test("Secrets open each socket once")
    func sockets() throws {
        let sockets = SocketSet(names: ["0", "control"]) { _, _ in }
        let secret = try #require(sockets.secrets["0"])
        #expect(secret.utf8.count == 64)
        #expect(try sockets.claim(secret: secret) == "0")
        #expect(throws: ServiceError.self) { try sockets.claim(secret: secret) }
        #expect(throws: ServiceError.self) { try sockets.claim(secret: "") }
        #expect(throws: ServiceError.self) { try sockets.claim(secret: String(repeating: "0", count: 64)) }
    }
}

@Suite("Locks of containers")
struct LockTests {
    @Test("A second operation is told what the first is doing")
    func busy() throws {
        let locks = InstanceLocks()
        let lock = try locks.acquire("c1", "snapshotting")
        do {
            _ = try locks.acquire("c1", "stopping")
            Issue.record("two operations at once")
        } catch let error as ServiceError {
            #expect(error.code == .conflict)
            #expect(error.message.contains("busy: snapshotting"))
        }
        _ = try locks.acquire("c2", "stopping")
        lock.release()
        lock.release()
        _ = try locks.acquire("c1", "stopping").release()
        #expect(locks.action(of: "c1") == nil)
    }

    @Test("A lock that is forgotten is released")
    func forgotten() throws {
        let locks = InstanceLocks()
        do { _ = try locks.acquire("c1", "starting") }
        #expect(locks.action(of: "c1") == nil)
    }
}
