import ApusAPI
import ApusCore
import Glibc
import Logging

/// Log lines on standard error, and to whoever listens to events of type "logging".
struct DaemonLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info
    private let label: String
    private let events: EventHub

    init(label: String, events: EventHub) {
        self.label = label
        self.events = events
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let context = all.mapValues { "\($0)" }
        let details = context.sorted { $0.key < $1.key }.map { " \($0.key)=\(quoted($0.value))" }.joined()
        let line = "\(Timestamp.now()) \(event.level) \(event.message)\(details)\n"
        // One write, so that lines of many threads do not mix.
        _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
        events.publish(
            .logging,
            EventLogging(message: "\(event.message)", level: "\(event.level)", context: context))
    }

    private func quoted(_ text: String) -> String {
        text.contains(where: { $0.isWhitespace || $0 == "\"" })
            ? "\"\(text.replacing("\"", with: "'"))\"" : text
    }
}
