public import Glibc

/// One line of a user namespace's map: `count` ids from `inside` on are `outside` on the host and so on.
public struct IDMapEntry: Sendable, Hashable, Codable {
    /// First id inside the container.
    public var inside: UInt32
    /// First id on the host.
    public var outside: UInt32
    /// How many.
    public var count: UInt32

    /// One range.
    public init(inside: UInt32, outside: UInt32, count: UInt32) {
        self.inside = inside
        self.outside = outside
        self.count = count
    }

    /// As the kernel writes it in `/proc/<pid>/uid_map`.
    public var line: String { "\(inside) \(outside) \(count)" }
}

/// The user and group ids of a container, and what they are on the host.
public struct IDMap: Sendable, Hashable, Codable {
    /// User ids.
    public var users: [IDMapEntry]
    /// Group ids.
    public var groups: [IDMapEntry]

    /// A map from its ranges.
    public init(users: [IDMapEntry], groups: [IDMapEntry]) {
        self.users = users
        self.groups = groups
    }

    /// The usual map: ids 0 ..< count inside are `base` and up on the host, for users and groups alike.
    public init(base: UInt32, count: UInt32 = 65536) {
        let entry = IDMapEntry(inside: 0, outside: base, count: count)
        self.init(users: [entry], groups: [entry])
    }

    /// The host's user id for one inside, or nil where the map has none.
    public func hostUser(_ id: UInt32) -> UInt32? { IDMap.translate(id, users) }

    /// The host's group id for one inside, or nil where the map has none.
    public func hostGroup(_ id: UInt32) -> UInt32? { IDMap.translate(id, groups) }

    private static func translate(_ id: UInt32, _ entries: [IDMapEntry]) -> UInt32? {
        for entry in entries where id >= entry.inside && id - entry.inside < entry.count {
            return entry.outside + (id - entry.inside)
        }
        return nil
    }

    /// The ranges of `/proc/<pid>/uid_map` (or gid_map). Lines that are not three numbers are an error.
    public static func parse(_ text: String) throws -> [IDMapEntry] {
        try text.split(separator: "\n").map { line in
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard words.count == 3, let inside = UInt32(words[0]), let outside = UInt32(words[1]),
                let count = UInt32(words[2]), count > 0,
                !inside.addingReportingOverflow(count - 1).overflow,
                !outside.addingReportingOverflow(count - 1).overflow
            else {
                throw SystemError(call: "parse", errno: EINVAL, context: "read the id map line \"\(line)\"")
            }
            return IDMapEntry(inside: inside, outside: outside, count: count)
        }
    }

    /// Writes both maps for a process that has just made its user namespace.
    public func apply(to pid: pid_t) throws {
        try Files.poke("/proc/\(pid)/uid_map", users.map { $0.line + "\n" }.joined())
        try Files.poke("/proc/\(pid)/gid_map", groups.map { $0.line + "\n" }.joined())
    }
}
