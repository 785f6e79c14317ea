import ApusAPI
import FoundationEssentials

/// How a container was before a snapshot's running state takes its place: for a daemon that finds the restore cut short.
struct RestoreNote: Codable, Sendable {
    var config: ConfigMap
    var devices: DevicesMap
    var profiles: [String]
    var ephemeral: Bool
    /// Which directory its files' root is.
    var files: String?
    /// The number of the life that takes its place.
    var generation: Int64?

    /// Notes how a container is.
    init(_ record: ContainerRecord, files: String?, next generation: Int64?) {
        config = record.config
        devices = record.devices
        profiles = record.profiles
        ephemeral = record.ephemeral
        self.files = files
        self.generation = generation
    }

    /// Gives a record back what the container was.
    func apply(to record: inout ContainerRecord) {
        record.config = config
        record.devices = devices
        record.profiles = profiles
        record.ephemeral = ephemeral
    }
}

extension Store {
    private static func key(_ name: String) -> String { "restoring/\(name)" }

    /// The note of a restore under way.
    func restoreNote(_ name: String) -> RestoreNote? {
        guard let text = try? serverValue(Self.key(name)) else { return nil }
        return try? JSONDecoder().decode(RestoreNote.self, from: Data(text.utf8))
    }

    /// Keeps a note; nil forgets it.
    func setRestoreNote(_ name: String, _ note: RestoreNote?) throws {
        let text = try note.map { String(decoding: try JSONEncoder().encode($0), as: UTF8.self) }
        try setServerValue(Self.key(name), text)
    }
}
