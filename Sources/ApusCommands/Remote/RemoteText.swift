import ArgumentParser

/// What may stand for a remote.
enum RemoteText {
    static func checkName(_ name: String) throws {
        guard !name.isEmpty, !name.contains(where: { ":/. ".contains($0) }) else {
            throw ValidationError("A remote's name has no \":\", \"/\", \".\" or spaces.")
        }
    }

    static func checkURL(_ url: String) throws {
        guard url.hasPrefix("https://"), url.count > 8 else {
            throw ValidationError("An address begins with https://.")
        }
    }

    static func trimmed(_ url: String) -> String {
        var url = url
        while url.hasSuffix("/") { url.removeLast() }
        return url
    }

    /// Whether an address names a port.
    static func hasPort(_ url: String) -> Bool {
        let authority = url.dropFirst("https://".count).prefix { $0 != "/" }
        return authority.drop { $0 != "]" }.contains(":")
            || (!authority.hasPrefix("[") && authority.contains(":"))
    }
}
