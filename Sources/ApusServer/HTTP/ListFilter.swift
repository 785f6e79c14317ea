import ApusAPI
package import ApusCore
import Foundation

/// The filter of a list, in LXD's language (its doc/rest-api.md, "Filtering"): `name eq c1 and not config.user.x ne "a b"`.
/// Clauses are joined from left to right. A value is a regular expression for the whole of what it is compared with, or,
/// if it is none, that text.
package struct ListFilter: Sendable {
    private enum Join { case and, or }

    private struct Clause: Sendable {
        let join: Join
        let isNegated: Bool
        let field: [Substring]
        let wantsEqual: Bool
        let value: Wanted
    }

    /// What a field is compared with: a text, and the pattern that it may be.
    private struct Wanted: Sendable {
        let text: String
        let pattern: NSRegularExpression?

        init(_ text: String) {
            self.text = text
            // Matching takes time that grows with the text; no name or value is long.
            pattern =
                text.utf8.count <= 512
                ? try? NSRegularExpression(pattern: "^(?:\(text))$", options: [.caseInsensitive]) : nil
        }
    }

    private let clauses: [Clause]

    /// A filter of a request; nil where it has none.
    /// - Throws: what is wrong with it, as a bad request.
    package init?(_ text: String?) throws(ServiceError) {
        guard let text, !text.allSatisfy(\.isWhitespace) else { return nil }
        var words = try Self.words(text)[...]
        var clauses: [Clause] = []
        var join = Join.and
        while true {
            var isNegated = false
            while words.first?.isWord("not") == true {
                isNegated.toggle()
                words.removeFirst()
            }
            guard let field = words.popFirst() else { throw Self.refusal("it ends where a field is due") }
            guard let comparison = words.popFirst(), comparison.isWord("eq") || comparison.isWord("ne") else {
                throw Self.refusal("\"\(field.text)\" has to be followed by eq or ne")
            }
            guard let value = words.popFirst() else {
                throw Self.refusal("\"\(field.text) \(comparison.text)\" has to be followed by a value")
            }
            clauses.append(
                Clause(
                    join: join, isNegated: isNegated, field: field.text.split(separator: "."),
                    wantsEqual: comparison.isWord("eq"), value: Wanted(value.text)))
            guard let next = words.popFirst() else { break }
            switch next {
            case _ where next.isWord("and"): join = .and
            case _ where next.isWord("or"): join = .or
            default: throw Self.refusal("\"\(next.text)\" stands where and, or, or the end is due")
            }
        }
        self.clauses = clauses
    }

    /// Whether an object is one of those that are wanted.
    package func matches(_ object: some Encodable) throws -> Bool {
        let value = try APIJSON.decode(JSONValue.self, from: try APIJSON.encode(object))
        return clauses.reduce(true) { result, clause in
            let isEqual = Self.isEqual(Self.find(clause.field[...], in: value), clause.value)
            let holds = (isEqual == clause.wantsEqual) != clause.isNegated
            return clause.join == .and ? result && holds : result || holds
        }
    }

    /// What a field is: names of keys may have dots in them.
    private static func find(_ path: ArraySlice<Substring>, in value: JSONValue) -> JSONValue? {
        guard !path.isEmpty else { return value }
        guard let members = value.objectValue else { return nil }
        if let whole = members[path.joined(separator: ".")] { return whole }
        return path.first.flatMap { members[String($0)] }.flatMap { find(path.dropFirst(), in: $0) }
    }

    private static func isEqual(_ value: JSONValue?, _ wanted: Wanted) -> Bool {
        let text: String
        switch value {
        case .string(let value): text = value
        case .int(let value): text = String(value)
        case .double(let value): text = String(value)
        case .bool(let value): return ["true", "1"].contains(wanted.text.lowercased()) == value
        case .array(let values): return values.contains { isEqual($0, wanted) }
        case .null, .object, nil: return false
        }
        if text.caseInsensitiveCompare(wanted.text) == .orderedSame { return true }
        guard text.utf8.count <= 4096, let pattern = wanted.pattern else { return false }
        let all = NSRange(text.startIndex..., in: text)
        return pattern.firstMatch(in: text, range: all) != nil
    }

    // MARK: Words

    private struct Word {
        let text: String
        let isQuoted: Bool
        func isWord(_ word: String) -> Bool { !isQuoted && text.lowercased() == word }
    }

    /// Splits at spaces, outside of double quotes; a backslash takes the next character as it is, there.
    private static func words(_ text: String) throws(ServiceError) -> [Word] {
        var result: [Word] = []
        var current = ""
        var (isInside, wasQuoted, isEscaped) = (false, false, false)
        for character in text {
            if isEscaped {
                current.append(character)
                isEscaped = false
            } else if isInside, character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                isInside.toggle()
                wasQuoted = true
            } else if character.isWhitespace, !isInside {
                if !current.isEmpty || wasQuoted { result.append(Word(text: current, isQuoted: wasQuoted)) }
                (current, wasQuoted) = ("", false)
            } else {
                current.append(character)
            }
        }
        guard !isInside else { throw refusal("a quotation mark is not closed") }
        if !current.isEmpty || wasQuoted { result.append(Word(text: current, isQuoted: wasQuoted)) }
        return result
    }

    private static func refusal(_ reason: String) -> ServiceError {
        .badRequest("The filter cannot be read: \(reason). Write: name eq c1 and status ne Stopped")
    }
}

extension APIRequest {
    /// The objects of a list that the request's filter lets through. Strangers get all they may see: a pattern can be made
    /// to take for ever.
    func filtered<Item: Encodable>(_ items: [Item]) throws -> [Item] {
        guard requester.isTrusted, let filter = try ListFilter(query["filter"]) else { return items }
        return try items.filter { try filter.matches($0) }
    }
}
