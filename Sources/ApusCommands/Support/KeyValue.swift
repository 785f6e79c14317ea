import ArgumentParser

/// `key=value` on the command line.
package struct KeyValue: ExpressibleByArgument, Sendable, Hashable {
    package let key: String
    package let value: String

    package init?(argument: String) {
        guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else { return nil }
        key = String(argument[..<equals])
        value = String(argument[argument.index(after: equals)...])
    }
}

/// `name,key=value,…` on the command line: a device.
package struct DeviceOption: ExpressibleByArgument, Sendable, Hashable {
    package let name: String
    package let keys: [String: String]

    package init?(argument: String) {
        let parts = argument.split(separator: ",")
        guard let first = parts.first, !first.contains("=") else { return nil }
        var keys: [String: String] = [:]
        for part in parts.dropFirst() {
            guard let pair = KeyValue(argument: String(part)) else { return nil }
            keys[pair.key] = pair.value
        }
        name = String(first)
        self.keys = keys
    }
}

extension Sequence<KeyValue> {
    /// As a dictionary; the last of equal keys counts.
    package var dictionary: [String: String] {
        Dictionary(map { ($0.key, $0.value) }, uniquingKeysWith: { _, last in last })
    }
}
