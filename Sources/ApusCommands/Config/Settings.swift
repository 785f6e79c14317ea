import ArgumentParser

/// Keys to set, as the command line gives them.
package enum Settings {
    /// KEY=VALUE as often as one likes, or KEY VALUE, LXD's older way of writing it.
    package static func keys(_ words: [String]) throws -> [String: String] {
        if words.count == 2, KeyValue(argument: words[0]) == nil { return [words[0]: words[1]] }
        let pairs = words.compactMap { KeyValue(argument: $0) }
        guard pairs.count == words.count, !pairs.isEmpty else {
            throw ValidationError("Write KEY VALUE, or KEY=VALUE as often as you like.")
        }
        return pairs.dictionary
    }

    /// Values of "-" are read from standard input.
    static func reading(_ keys: [String: String]) throws -> [String: String] {
        try keys.mapValues { $0 == "-" ? try FileIO.standardInput() : $0 }
    }

    /// Whether a word names a key rather than a container: those have dots, containers do not.
    static func isServerKey(_ word: String) -> Bool { word.contains(".") || KeyValue(argument: word) != nil }

    /// Whether a first word is about the daemon itself: a key of its, or a remote alone.
    static func isServer(_ word: String) -> Bool { isServerKey(word) || ResourceName(word).name.isEmpty }

    /// The words that are keys, when the first may be a container or a remote.
    static func words(_ first: String, _ rest: [String]) -> [String] {
        isServerKey(first) ? [first] + rest : rest
    }
}
