import ApusAPI
import ApusCore
import ApusServer
import Foundation
import Glibc
import LinuxSystem
import Logging
import Testing

/// A daemon in a directory of its own, serving on a real socket, for the length of a test.
struct TestDaemon {
    let daemon: Daemon
    let socket: String

    static func with(_ body: (TestDaemon) async throws -> Void) async throws {
        var template = Array("/tmp/apus-server-XXXXXX".utf8CString)
        let made: String? = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
        }
        let directory = try #require(made)
        defer { try? removeTree(directory) }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let daemon = try Daemon(
            DaemonConfiguration(directory: directory, runtime: "/nonexistent/apus-runtime"), logger: logger)
        let (ready, tell) = AsyncStream.makeStream(of: Void.self)
        let serving = Task { try await APIServer(daemon: daemon, logger: logger).run { tell.yield() } }
        await daemon.recover()
        for await _ in ready { break }
        defer { serving.cancel() }
        try await body(TestDaemon(daemon: daemon, socket: daemon.directory.socket))
    }

    /// One request on a connection of its own.
    func request(
        _ method: String, _ path: String, _ body: String = "", headers: [String: String] = [:]
    ) async throws -> (status: Int, headers: [String: String], body: Data) {
        var text = "\(method) \(path) HTTP/1.1\r\nHost: unix.socket\r\nConnection: close\r\n"
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        if !body.isEmpty { text += "Content-Length: \(body.utf8.count)\r\n" }
        let reply = try await raw(Array((text + "\r\n" + body).utf8))
        return try Self.parse(reply)
    }

    /// Sends bytes as they are, and returns all that comes back until the daemon closes.
    func raw(_ bytes: [UInt8]) async throws -> [UInt8] {
        let connection = try UnixSocket.connect(socket, .stream)
        try connection.write(bytes)
        var reply: [UInt8] = []
        while true {
            try await connection.readable()
            let part = try connection.read(upTo: 65_536)
            if part.isEmpty { return reply }
            reply += part
        }
    }

    /// The metadata of a reply that must be good.
    func get<Value: Codable & Sendable>(_ type: Value.Type, _ path: String) async throws -> Value {
        let reply = try await request("GET", path)
        #expect(reply.status == 200)
        return try #require(try APIJSON.decode(Response<Value>.self, from: reply.body).metadata)
    }

    /// The error that a request is answered with.
    func refused(_ method: String, _ path: String, _ body: String = "", headers: [String: String] = [:])
        async throws -> Response<Empty>
    {
        let reply = try await request(method, path, body, headers: headers)
        let error = try APIJSON.decode(Response<Empty>.self, from: reply.body)
        #expect(error.type == "error")
        #expect(error.errorCode == reply.status)
        return error
    }

    static func parse(_ bytes: [UInt8]) throws -> (status: Int, headers: [String: String], body: Data) {
        let data = Data(bytes)
        let end = try #require(data.range(of: Data("\r\n\r\n".utf8)))
        let lines = String(decoding: data[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        let status = try #require(lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) })
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let sides = line.split(separator: ":", maxSplits: 1)
            if sides.count == 2 {
                headers[sides[0].lowercased()] = sides[1].trimmingCharacters(in: .whitespaces)
            }
        }
        return (status, headers, Data(data[end.upperBound...]))
    }
}
