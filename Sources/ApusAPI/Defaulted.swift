/// A value that JSON may leave out or set to null: LXD's clients do both.
public protocol Defaultable {
    /// The value that stands for "not given".
    static var apiDefault: Self { get }
}

extension String: Defaultable {
    /// The empty string.
    public static var apiDefault: String { "" }
}

extension Bool: Defaultable {
    /// False.
    public static var apiDefault: Bool { false }
}

extension Int: Defaultable {
    /// Zero.
    public static var apiDefault: Int { 0 }
}

extension Int64: Defaultable {
    /// Zero.
    public static var apiDefault: Int64 { 0 }
}

extension Array: Defaultable {
    /// The empty array.
    public static var apiDefault: [Element] { [] }
}

extension Dictionary: Defaultable {
    /// The empty dictionary.
    public static var apiDefault: [Key: Value] { [:] }
}

/// A field that takes its default when the JSON has no such key, or null.
@propertyWrapper
public struct Defaulted<Value: Codable & Sendable & Equatable & Defaultable>: Codable, Sendable, Equatable {
    /// The field's value.
    public var wrappedValue: Value

    /// The field at its default.
    public init() { wrappedValue = Value.apiDefault }

    /// The field with a value.
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }

    /// Reads the bare value.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        wrappedValue = container.decodeNil() ? Value.apiDefault : try container.decode(Value.self)
    }

    /// Writes the bare value.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(wrappedValue)
    }
}

extension KeyedDecodingContainer {
    /// Reads a defaulted field; a missing key is not an error.
    public func decode<Value>(_ type: Defaulted<Value>.Type, forKey key: Key) throws -> Defaulted<Value> {
        Defaulted(wrappedValue: try decodeIfPresent(Value.self, forKey: key) ?? Value.apiDefault)
    }
}

extension KeyedEncodingContainer {
    /// Writes a defaulted field as its bare value.
    public mutating func encode<Value>(_ value: Defaulted<Value>, forKey key: Key) throws {
        try encode(value.wrappedValue, forKey: key)
    }
}
