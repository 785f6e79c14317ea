import ApusAPI
package import ApusClient
package import ArgumentParser
import Foundation
import NIOCore
import NIOHTTP1

/// `apus query`
package struct Query: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "query",
        abstract: "Send a request to the daemon as it is.",
        discussion: """
            Prints the answer's metadata as JSON. An operation's end is waited for with --wait.

            EXAMPLES:
              apus query /1.0/instances
              apus query host2:/1.0
              apus query -X PUT -d '{"action": "stop"}' --wait /1.0/instances/c1/state
            """)

    @Argument(
        help: ArgumentHelp(
            "The path, such as /1.0/instances, of the default remote or after REMOTE:.", valueName: "path"))
    package var path: String

    @Option(
        name: [.customShort("X"), .customLong("request")],
        help: ArgumentHelp("The verb.", valueName: "method"))
    package var method = "GET"

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("What to send, as JSON; \"-\" for standard input.", valueName: "json"))
    package var data: String?

    @Flag(name: .long, help: "Wait for the end of the operation that this begins.")
    package var wait = false

    @Flag(name: .long, help: "Print the whole answer.")
    package var raw = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    /// The request.
    package func request() throws -> Request {
        let path = self.path.hasPrefix("/") ? self.path : ResourceName(self.path).name
        guard path.hasPrefix("/") else { throw Failure("a path begins with \"/\": /1.0/instances") }
        var request = Request(HTTPMethod(rawValue: method.uppercased()), path)
        if let data {
            request.body = .bytes(ByteBuffer(string: data == "-" ? try FileIO.standardInput() : data))
            request.headers.add(name: "Content-Type", value: "application/json")
        }
        return request
    }

    package func run() async throws {
        let session = try global.session(of: path.hasPrefix("/") ? nil : path)
        let request = try request()
        let reply =
            raw ? try await session.client.exchange(request) : try await session.client.perform(request)
        let text = String(decoding: reply.body.readableBytesView, as: UTF8.self)
        guard !raw, let value = try? APIJSON.decode(JSONValue.self, from: .init(reply.body.readableBytesView))
        else {
            session.output.write(text.hasSuffix("\n") ? text : text + "\n")
            if !reply.isSuccess { throw ExitCode.failure }
            return
        }
        guard wait, value["type"]?.stringValue == "async", let id = value["metadata"]?["id"]?.stringValue
        else {
            return try show(value["metadata"] ?? .null, session)
        }
        let operation = try await session.client.operation(id)
        try show(try await session.finish(operation, operation.description).metadata ?? .null, session)
    }

    private func show(_ value: JSONValue, _ session: Session) throws {
        guard value != .null else { return }
        session.output.print(String(decoding: try APIJSON.encode(value, pretty: true), as: UTF8.self))
    }
}
