/// What uses something, in the words of an error.
enum Users {
    /// URLs as the API has them become "container c1, snapshot c1/s, profile web"; after five there are others.
    static func text(_ urls: [String]) -> String {
        urls.prefix(5).map(name).joined(separator: ", ") + (urls.count > 5 ? " and others" : "")
    }

    private static func name(_ url: String) -> String {
        // /1.0/instances/NAME[/snapshots/NAME], /1.0/profiles/NAME, /1.0/storage-pools/NAME/volumes/TYPE/NAME
        let parts = url.split(separator: "/").dropFirst().map(String.init)
        switch (parts.first, parts.count) {
        case ("instances", 2): return "container \(parts[1])"
        case ("instances", 4): return "snapshot \(parts[1])/\(parts[3])"
        case ("profiles", 2): return "profile \(parts[1])"
        case ("storage-pools", 5): return "volume \(parts[4])"
        default: return url
        }
    }
}
