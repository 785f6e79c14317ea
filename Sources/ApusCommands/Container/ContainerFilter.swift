package import ApusAPI

/// Which containers `apus list` shows.
package struct ContainerFilter {
    private enum Term {
        case name(prefix: String, pattern: Regex<AnyRegexOutput>?)
        case property(String, Regex<AnyRegexOutput>)
    }
    private let terms: [Term]

    /// Reads the filters; all of them must hold.
    package init(_ texts: [String]) throws {
        terms = try texts.map { text in
            if let pair = KeyValue(argument: text) {
                return .property(pair.key, try Self.regex("^(?:\(pair.value))$"))
            }
            return .name(prefix: text, pattern: try? Self.regex("^(?:\(text))$"))
        }
    }

    private static func regex(_ pattern: String) throws -> Regex<AnyRegexOutput> {
        do {
            return try Regex(pattern).ignoresCase()
        } catch {
            throw Failure("\"\(pattern)\" is not a regular expression: \(error)")
        }
    }

    /// Whether a container passes.
    package func matches(_ instance: Instance) -> Bool {
        terms.allSatisfy { term in
            switch term {
            case .name(let prefix, let pattern):
                instance.name.hasPrefix(prefix) || pattern.map { Self.found($0, in: instance.name) } ?? false
            case .property(let key, let pattern):
                Self.values(of: key, in: instance).contains { Self.found(pattern, in: $0) }
            }
        }
    }

    private static func found(_ pattern: Regex<AnyRegexOutput>, in text: String) -> Bool {
        (try? pattern.firstMatch(in: text)) != nil
    }

    private static func values(of key: String, in instance: Instance) -> [String] {
        switch key.lowercased() {
        case "name": [instance.name]
        case "status", "state": [instance.status]
        case "type": [instance.type]
        case "architecture": [instance.architecture]
        case "stateful": [String(instance.stateful)]
        case "ephemeral": [String(instance.ephemeral)]
        case "description": [instance.description]
        default: configured(key, in: instance)
        }
    }

    /// The values of the keys that a name, its parts perhaps shortened, stands for; one that is not set is empty.
    private static func configured(_ key: String, in instance: Instance) -> [String] {
        if let exact = instance.expandedConfig[key] { return [exact] }
        let parts = key.split(separator: ".", omittingEmptySubsequences: false)
        let found = instance.expandedConfig.filter { name, _ in
            let full = name.split(separator: ".", omittingEmptySubsequences: false)
            return full.count == parts.count && zip(full, parts).allSatisfy { $0.hasPrefix($1) }
        }
        return found.isEmpty ? [""] : Array(found.values)
    }
}

extension String {
    /// Whether it comes before another text when runs of digits count as numbers: c2 before c10.
    package func sortsNaturally(before other: String) -> Bool {
        var (left, right) = (Array(utf8)[...], Array(other.utf8)[...])
        func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }
        while let a = left.first, let b = right.first {
            if isDigit(a), isDigit(b) {
                let (x, y) = (left.prefix(while: isDigit), right.prefix(while: isDigit))
                let (m, n) = (x.drop { $0 == 48 }, y.drop { $0 == 48 })
                if m.count != n.count { return m.count < n.count }
                if !m.elementsEqual(n) { return m.lexicographicallyPrecedes(n) }
                (left, right) = (left.dropFirst(x.count), right.dropFirst(y.count))
            } else {
                if a != b { return a < b }
                (left, right) = (left.dropFirst(), right.dropFirst())
            }
        }
        return left.isEmpty && !right.isEmpty || (left.isEmpty == right.isEmpty && self < other)
    }
}
