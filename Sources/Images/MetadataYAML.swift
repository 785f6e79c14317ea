import Yams

extension ImageMetadata {
    /// The largest `metadata.yaml` that is read.
    static let largestFile = 1 << 20

    /// Reads `metadata.yaml`. Only what is asked for is looked at: references that multiply cost nothing.
    init(yaml: [UInt8], of image: String) throws {
        let node: Node?
        do {
            node = try Yams.compose(yaml: String(decoding: yaml, as: UTF8.self))
        } catch {
            throw ImageError(.invalid, "metadata.yaml of \(image) cannot be read: \(error)")
        }
        guard let root = node?.mapping else {
            throw ImageError(.invalid, "metadata.yaml of \(image) is not a list of keys and values")
        }
        // Shown to users: a word, not whatever a terminal might take for a command.
        guard let architecture = root["architecture"]?.scalar?.string,
            (1...32).contains(architecture.utf8.count),
            architecture.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else {
            throw ImageError(.invalid, "metadata.yaml of \(image) does not say for which architecture it is")
        }
        let expiry = root["expiry_date"]?.int.map(Int64.init) ?? 0
        self.init(
            architecture: architecture,
            creationDate: root["creation_date"]?.int.map(Int64.init) ?? 0,
            expiryDate: expiry > 0 ? expiry : nil,
            properties: Self.strings(root["properties"]))
        for (path, template) in root["templates"]?.mapping ?? Node.Mapping([]) {
            guard let path = path.scalar?.string, let fields = template.mapping,
                let file = fields["template"]?.scalar?.string
            else { continue }
            templates[path] = Template(
                when: fields["when"]?.sequence?.compactMap { $0.scalar?.string } ?? [], template: file,
                createOnly: fields["create_only"]?.bool ?? false,
                properties: Self.strings(fields["properties"]))
        }
    }

    /// Writes `metadata.yaml`.
    func yaml() throws -> String {
        var root = Node.Mapping([])
        root["architecture"] = .text(architecture)
        root["creation_date"] = Node(String(creationDate))
        if let expiryDate { root["expiry_date"] = Node(String(expiryDate)) }
        root["properties"] = .texts(properties)
        var list = Node.Mapping([])
        for (path, template) in templates.sorted(by: { $0.key < $1.key }) {
            var fields = Node.Mapping([])
            fields["when"] = .sequence(Node.Sequence(template.when.map { Node($0) }))
            fields["template"] = Node(template.template)
            if template.createOnly { fields["create_only"] = Node("true") }
            if !template.properties.isEmpty { fields["properties"] = .texts(template.properties) }
            list[Node(path)] = .mapping(fields)
        }
        root["templates"] = .mapping(list)
        return try Yams.serialize(node: .mapping(root))
    }

    private static func strings(_ node: Node?) -> [String: String] {
        var result: [String: String] = [:]
        for (key, value) in node?.mapping ?? Node.Mapping([]) {
            if let key = key.scalar?.string, let value = value.scalar?.string { result[key] = value }
        }
        return result
    }
}

extension Node {
    /// A text that stays one, also if it looks like a number (`release: "12"`).
    fileprivate static func text(_ value: String) -> Node { Node(value, Tag(.str), .doubleQuoted) }

    fileprivate static func texts(_ values: [String: String]) -> Node {
        var mapping = Node.Mapping([])
        for (key, value) in values.sorted(by: { $0.key < $1.key }) { mapping[Node(key)] = .text(value) }
        return .mapping(mapping)
    }
}
