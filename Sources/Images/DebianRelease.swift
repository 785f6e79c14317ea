/// A release of Debian, by number, code name or role.
public struct DebianRelease: Sendable, Hashable {
    /// What apt calls it: `bookworm`, `testing`.
    public let suite: String
    /// Its number, once it has one.
    public let version: String?
    /// Whether it has been released: such have updates of their own.
    public let isStable: Bool

    private static let numbered: [(version: String, suite: String)] = [
        ("11", "bullseye"), ("12", "bookworm"), ("13", "trixie"), ("14", "forky"),
    ]
    private static let newestStable = "13"

    /// Finds a release by any of its names; nil if it is not known.
    public init?(_ name: String) {
        let name = name.lowercased()
        if let known = Self.numbered.first(where: { $0.version == name || $0.suite == name }) {
            suite = known.suite
            version = known.version
            isStable = known.version <= Self.newestStable
        } else if name == "testing" || name == "sid" || name == "unstable" {
            suite = name == "unstable" ? "sid" : name
            version = nil
            isStable = false
        } else {
            return nil
        }
    }

    /// What users call it.
    public var name: String { version ?? suite }
    /// All its names.
    public var names: [String] { version.map { [$0, suite] } ?? [suite] }
    /// The names of all releases that can be built.
    public static var allNames: [String] {
        numbered.flatMap { [$0.version, $0.suite] } + ["testing", "sid"]
    }
}
