import Foundation

/// A piece of JSON that tests look into without knowing its type.
struct JSON: @unchecked Sendable, CustomStringConvertible {
    private let value: Any?

    init(_ data: Data) throws {
        do {
            value = try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed)
        } catch {
            throw Trouble("not JSON: \(String(decoding: data.prefix(500), as: UTF8.self))")
        }
    }

    init(_ text: String) throws { try self.init(Data(text.utf8)) }

    private init(value: Any?) { self.value = value }

    subscript(key: String) -> JSON { JSON(value: (value as? [String: Any])?[key]) }
    subscript(index: Int) -> JSON {
        guard let list = value as? [Any], list.indices.contains(index) else { return JSON(value: nil) }
        return JSON(value: list[index])
    }

    var string: String? { value as? String }
    var int: Int? { (value as? NSNumber)?.intValue }
    var bool: Bool? { value as? Bool }
    var array: [JSON] { (value as? [Any] ?? []).map { JSON(value: $0) } }
    var keys: [String] { (value as? [String: Any]).map { $0.keys.sorted() } ?? [] }
    var exists: Bool { value != nil && !(value is NSNull) }

    var description: String { value.map { "\($0)" } ?? "nothing" }
}
