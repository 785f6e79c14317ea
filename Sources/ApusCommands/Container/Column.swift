package import ApusAPI
import ArgumentParser

/// A column of `apus list`.
package struct Column: Sendable {
    /// Its title.
    package let title: String
    /// Whether it needs the container's state or snapshots.
    package let needsState: Bool
    /// Whether it shows but what `ListedInstance` has.
    package let isUsual: Bool
    /// A container's text in it.
    package let value: @Sendable (Instance) -> String

    /// What is shown when nobody says otherwise.
    package static let defaultSet = "ns46tS"
    /// What is shown with `--fast`.
    package static let fastSet = "nsacPt"

    private static let letters: [(letter: Character, about: String, column: Column)] = [
        ("4", "IPv4 addresses", Column("IPV4", state: true, usual: true) { addresses($0, "inet") }),
        ("6", "IPv6 addresses", Column("IPV6", state: true, usual: true) { addresses($0, "inet6") }),
        ("a", "architecture", Column("ARCHITECTURE") { $0.architecture }),
        ("b", "storage pool", Column("STORAGE POOL") { $0.expandedDevices["root"]?["pool"] ?? "" }),
        ("c", "when it was created", Column("CREATED AT") { Units.moment($0.createdAt) }),
        ("d", "description", Column("DESCRIPTION") { $0.description }),
        ("D", "disk usage", Column("DISK USAGE", state: true) { bytes($0.state?.disk["root"]?.usage) }),
        ("f", "base image, short", Column("BASE IMAGE") { String(baseImage($0).prefix(12)) }),
        ("F", "base image", Column("BASE IMAGE") { baseImage($0) }),
        ("l", "when it was last started", Column("LAST USED AT") { Units.moment($0.lastUsedAt) }),
        ("m", "memory usage", Column("MEMORY USAGE", state: true) { bytes($0.state?.memory.usage) }),
        ("n", "name", Column("NAME", usual: true) { $0.name }),
        ("N", "number of processes", Column("PROCESSES", state: true) { number($0.state?.processes) }),
        ("p", "pid of its init", Column("PID", state: true) { number($0.state?.pid) }),
        ("P", "profiles", Column("PROFILES") { $0.profiles.joined(separator: "\n") }),
        ("s", "state", Column("STATE", usual: true) { $0.status.uppercased() }),
        (
            "S", "number of snapshots",
            Column("SNAPSHOTS", state: true, usual: true) { String($0.snapshots?.count ?? 0) }
        ),
        ("t", "type", Column("TYPE", usual: true) { "CONTAINER" + ($0.ephemeral ? " (EPHEMERAL)" : "") }),
        ("u", "processor seconds", Column("CPU USAGE", state: true) { cpu($0.state?.cpu.usage) }),
    ]

    /// The letters and what they show, for the help.
    package static var legend: String {
        letters.map { "  \($0.letter)  \($0.about)" }.joined(separator: "\n")
    }

    private init(
        _ title: String, state: Bool = false, usual: Bool = false,
        _ value: @escaping @Sendable (Instance) -> String
    ) {
        self.title = title
        needsState = state
        isUsual = usual
        self.value = value
    }

    /// Reads `ns4t` or `ns,limits.memory:MEMORY:10`.
    package static func parse(_ text: String) throws -> [Column] {
        let columns = try text.split(separator: ",").flatMap { part in
            part.contains(".") ? [try key(String(part))] : try part.map(letter)
        }
        guard !columns.isEmpty else { throw ValidationError("There are no columns in \"\(text)\".") }
        return columns
    }

    private static func letter(_ letter: Character) throws -> Column {
        guard let found = letters.first(where: { $0.letter == letter }) else {
            throw ValidationError("There is no column \"\(letter)\"; see apus list --help.")
        }
        return found.column
    }

    private static func key(_ text: String) throws -> Column {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let width = parts.count > 2 ? Int(parts[2]) : nil
        guard parts.count < 4, parts.count < 3 || width != nil else {
            throw ValidationError("\"\(text)\" is not KEY[:TITLE[:WIDTH]].")
        }
        let title = parts.count > 1 && !parts[1].isEmpty ? parts[1] : parts[0].uppercased()
        return Column(title) { instance in
            let value = instance.expandedConfig[parts[0]] ?? ""
            return width.map { $0 > 0 ? String(value.prefix($0)) : value } ?? value
        }
    }

    private static func addresses(_ instance: Instance, _ family: String) -> String {
        var lines: [String] = []
        for (name, network) in (instance.state?.network ?? [:]).sorted(by: { $0.key < $1.key }) {
            for address in network.addresses where address.family == family {
                if address.scope == "link" || address.scope == "local" { continue }
                lines.append("\(address.address) (\(name))")
            }
        }
        return lines.joined(separator: "\n")
    }

    private static func baseImage(_ instance: Instance) -> String {
        instance.config["volatile.base_image"] ?? ""
    }

    private static func bytes(_ count: Int64?) -> String { count.map { $0 > 0 ? Units.bytes($0) : "" } ?? "" }

    private static func number(_ count: Int64?) -> String { count.map { $0 > 0 ? String($0) : "" } ?? "" }

    private static func cpu(_ nanoseconds: Int64?) -> String {
        nanoseconds.map { $0 > 0 ? "\($0 / 1_000_000_000)s" : "" } ?? ""
    }
}
