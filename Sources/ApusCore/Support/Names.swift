/// The rules for names, as LXD has them.
public enum Names {
    /// Refuses a container's name that is not a host name of at most 63 characters.
    public static func checkInstance(_ name: String) throws {
        func refuse(_ reason: String) -> ServiceError { .badRequest("Invalid instance name: \(reason)") }
        guard !name.isEmpty, name.utf8.count <= 63 else {
            throw refuse("Name must be 1-63 characters long")
        }
        guard name.utf8.allSatisfy({ isAlphanumeric($0) || $0 == UInt8(ascii: "-") }) else {
            throw refuse("Name can only contain alphanumeric and hyphen characters")
        }
        guard let first = name.utf8.first, let last = name.utf8.last else { throw refuse("Name is empty") }
        guard !isDigit(first), first != UInt8(ascii: "-") else {
            throw refuse("Name must not start with a number or a hyphen")
        }
        guard last != UInt8(ascii: "-") else { throw refuse("Name must not end with a hyphen") }
    }

    /// Refuses a snapshot's name that could not be a file's, or would be taken for a path.
    public static func checkSnapshot(_ name: String) throws {
        try checkFileName(name, what: "snapshot")
    }

    /// A name for what has got none: "snap0", "snap1"…, one above the highest there is.
    static func free(_ prefix: String, among taken: some Sequence<String>) -> String {
        let numbers = taken.compactMap { $0.hasPrefix(prefix) ? Int($0.dropFirst(prefix.count)) : nil }
        return "\(prefix)\((numbers.max() ?? -1) + 1)"
    }

    /// Refuses a backup's name that could not be a directory's.
    public static func checkBackup(_ name: String) throws {
        try checkFileName(name, what: "backup")
    }

    /// Refuses a profile's name that could not be part of a URL.
    public static func checkProfile(_ name: String) throws {
        try checkFileName(name, what: "profile")
    }

    /// Refuses a pool's name that could not be a directory's.
    public static func checkPool(_ name: String) throws {
        try checkFileName(name, what: "storage pool")
    }

    /// Refuses a custom volume's name that could not be a directory's.
    public static func checkVolume(_ name: String) throws {
        try checkFileName(name, what: "storage volume")
    }

    /// Refuses an image alias that is empty, or has characters that no shell or URL carries well.
    public static func checkAlias(_ name: String) throws {
        guard !name.isEmpty, name.utf8.count <= 200 else {
            throw ServiceError.badRequest("Invalid alias name: it must be 1-200 characters long")
        }
        guard name.utf8.allSatisfy({ isAlphanumeric($0) || "-._/+".utf8.contains($0) }),
            !name.hasPrefix("/"), !name.hasSuffix("/"), !name.contains("//"),
            !name.split(separator: "/").contains(where: { $0 == "." || $0 == ".." })
        else {
            throw ServiceError.badRequest(
                "Invalid alias name \"\(name)\": use letters, digits, and \"-\", \".\", \"_\", \"+\", \"/\" between them"
            )
        }
    }

    /// A name for a container that was given none.
    public static func random() -> String {
        let adjectives = [
            "agile", "brisk", "calm", "deft", "eager", "fair", "glad", "hardy", "keen", "light", "merry",
            "noble",
            "proud", "quick", "sharp", "steady", "swift", "tidy", "vivid", "wise",
        ]
        let birds = [
            "crane", "dove", "eagle", "falcon", "goose", "heron", "ibis", "jay", "kite", "lark", "martin",
            "osprey",
            "petrel", "quail", "raven", "stork", "tern", "wagtail", "warbler", "wren",
        ]
        let adjective = adjectives.randomElement() ?? "swift"
        let bird = birds.randomElement() ?? "lark"
        return "\(adjective)-\(bird)-\(Int.random(in: 100...999))"
    }

    private static func checkFileName(_ name: String, what: String) throws {
        guard !name.isEmpty, name.utf8.count <= 63 else {
            throw ServiceError.badRequest("Invalid \(what) name: it must be 1-63 characters long")
        }
        guard name.utf8.allSatisfy({ isAlphanumeric($0) || "-._".utf8.contains($0) }) else {
            throw ServiceError.badRequest(
                "Invalid \(what) name \"\(name)\": use letters, digits, \"-\", \".\" and \"_\"")
        }
        guard !name.hasPrefix("."), !name.hasPrefix("-") else {
            throw ServiceError.badRequest(
                "Invalid \(what) name \"\(name)\": it must not start with \".\" or \"-\"")
        }
    }

    /// Whether a text can be the domain of containers' names.
    static func isDomain(_ text: String) -> Bool {
        text.utf8.count <= 200
            && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
                !label.isEmpty && label.utf8.count <= 63 && !label.hasPrefix("-") && !label.hasSuffix("-")
                    && label.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
            }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        isDigit(byte) || (65...90).contains(byte) || (97...122).contains(byte)
    }
}
