package import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus monitor`
package struct Monitor: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "monitor",
        abstract: "Show what happens in the daemon, as it happens.",
        discussion: """
            EXAMPLES:
              apus monitor
              apus monitor --type operation --type lifecycle
              apus monitor --type logging --format pretty
            """)

    @Argument(
        help: ArgumentHelp("REMOTE: of the daemon, if it is not the default one.", valueName: "remote:"),
        completion: .hosts)
    package var remote: String?

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Only these: operation, lifecycle, logging; may be repeated.", valueName: "type"))
    package var type: [String] = []

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("yaml, json (one event per line) or pretty.", valueName: "format"))
    package var format: Format = .yaml

    @OptionGroup package var global: GlobalOptions

    /// How events are written.
    package enum Format: String, CaseIterable, ExpressibleByArgument, Sendable {
        case yaml
        case json
        case pretty
    }

    package init() {}

    /// One event as text.
    package static func render(_ event: Event, as format: Format) throws -> String {
        switch format {
        case .json: return String(decoding: try APIJSON.encode(event), as: UTF8.self) + "\n"
        case .yaml: return try Rendering.yaml(event) + "\n\n"
        case .pretty:
            let data = event.metadata
            let what =
                switch event.type {
                case "logging":
                    "\((data?["level"]?.stringValue ?? "").uppercased()) \(data?["message"]?.stringValue ?? "")"
                case "lifecycle":
                    "\(data?["action"]?.stringValue ?? "") \(data?["source"]?.stringValue ?? "")"
                default:
                    "\(data?["description"]?.stringValue ?? "") (\(data?["id"]?.stringValue ?? "")): "
                        + (data?["status"]?.stringValue ?? "")
                }
            return "\(event.timestamp) \(event.type) \(what)\n"
        }
    }

    package func run() async throws {
        let session = try global.session(of: remote)
        let format = format
        try await session.client.events(types: type) { events in
            for try await event in events { session.output.write(try Self.render(event, as: format)) }
        }
        throw Failure("\(session.client.endpoint) has closed the stream of events")
    }
}
