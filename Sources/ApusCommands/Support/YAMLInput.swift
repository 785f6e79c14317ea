import ApusClient
import Yams

/// YAML that somebody wrote by hand: what is wrong with it is told with its place.
package struct YAMLInput {
    private let node: Node
    private let what: String

    /// Reads `text`, which is to be `what` ("the preseed"), at least one key and its value.
    package init(_ text: String, of what: String) throws {
        self.what = what
        do {
            node = try Yams.compose(yaml: text) ?? Node([(Node, Node)]())
        } catch let error as YamlError {
            throw Failure("\(what) is not YAML: \(Self.sentence(error))")
        }
        guard let mapping = node.mapping, !mapping.isEmpty else {
            throw Failure("\(what) has no keys: it is to be YAML of the form \"key: value\"")
        }
    }

    /// Refuses keys that are none of `keys`: a misspelt one would be lost without a word. Those of `readOnly` are what
    /// the daemon shows beside them, and may stand.
    package func refuseUnknown<Keys: CodingKey & CaseIterable>(
        _ keys: Keys.Type, readOnly: Set<String> = []
    ) throws {
        try refuseUnknown(keys, in: node, called: nil, readOnly: readOnly)
    }

    /// The same for each entry of the list below a key.
    package func refuseUnknown<Keys: CodingKey & CaseIterable>(
        _ keys: Keys.Type, ofEach list: some CodingKey
    ) throws {
        for entry in node.mapping?[list.stringValue]?.sequence ?? [] {
            try refuseUnknown(keys, in: entry, called: list.stringValue, readOnly: [])
        }
    }

    /// What is written, as a value.
    package func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        do {
            return try YAMLDecoder().decode(Value.self, from: node)
        } catch let error as DecodingError {
            throw Failure("\(what) is not what is expected: \(sentence(error))")
        }
    }

    private func refuseUnknown<Keys: CodingKey & CaseIterable>(
        _ keys: Keys.Type, in node: Node, called list: String?, readOnly: Set<String>
    ) throws {
        let known = keys.allCases.map(\.stringValue).sorted()
        for key in node.mapping?.keys.map({ $0 }) ?? [] {
            let name = key.string ?? ""
            guard !known.contains(name), !readOnly.contains(name) else { continue }
            let line = key.mark.map { "line \($0.line): " } ?? ""
            let place = list.map { " of an entry of \($0)" } ?? ""
            throw Failure(
                "\(what), \(line)\"\(name)\" is no key\(place); there are \(known.joined(separator: ", "))")
        }
    }

    /// What is wrong with a value, and where.
    private func sentence(_ error: DecodingError) -> String {
        switch error {
        case .keyNotFound(let key, let context):
            "\(place(context))\"\(key.stringValue)\" is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            place(context) + Self.expectation(context.debugDescription)
        default: error.summary
        }
    }

    private static func expectation(_ debug: String) -> String {
        if debug.contains("decode Mapping") { return "expected keys with values" }
        if debug.contains("decode Sequence") { return "expected a list" }
        return "expected a single value"
    }

    /// "line 3: storage_pools[0]: ", as far as it is known.
    private func place(_ context: DecodingError.Context) -> String {
        var path = ""
        var here: Node? = node
        for key in context.codingPath {
            if let index = key.intValue {
                path += "[\(index)]"
                here = here?.sequence.flatMap { $0.indices.contains(index) ? $0[index] : nil }
            } else {
                path += (path.isEmpty ? "" : ".") + key.stringValue
                here = here?.mapping?[key.stringValue]
            }
        }
        let line = here?.mark.map { "line \($0.line): " } ?? ""
        return line + (path.isEmpty ? "" : "\(path): ")
    }

    private static func sentence(_ error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            "line \(mark.line), column \(mark.column): \(problem)"
        case .duplicatedKeysInMapping(let keys, let context):
            "line \(context.mark.line): these keys stand twice: \(keys.sorted().joined(separator: ", "))"
        default: "\(error)"
        }
    }
}

/// Something that users edit as YAML.
package protocol Editable: Codable, Sendable {
    associatedtype CodingKeys: CodingKey & CaseIterable
    /// What the daemon shows beside it, and cannot be changed.
    static var readOnly: Set<String> { get }
}

extension Editable {
    /// Reads what a user has written.
    package init(yaml: String, as what: String) throws {
        let input = try YAMLInput(yaml, of: what)
        try input.refuseUnknown(CodingKeys.self, readOnly: Self.readOnly)
        self = try input.decode()
    }
}
