import Crypto
import Foundation

/// The tag that tells whether something was changed meanwhile.
public enum ETag {
    /// The tag of an editable value: SHA-256 of its JSON with sorted keys.
    public static func of(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return SHA256.hash(data: try encoder.encode(value)).hex
    }

    /// Refuses the change if the client edited an older state.
    /// - Parameters:
    ///   - header: the request's If-Match, if it has one.
    ///   - current: the tag of the present state.
    public static func check(_ header: String?, against current: String) throws {
        guard let header, header != "*" else { return }
        let given = header.split(separator: ",").map { tag in
            tag.trimmingCharacters(in: CharacterSet(charactersIn: " \"")).replacingOccurrences(
                of: "W/\"", with: "")
        }
        guard given.contains(current) else {
            throw ServiceError(
                .preconditionFailed,
                "ETag doesn't match: \(current) vs \(given.joined(separator: ", ")). "
                    + "It was changed meanwhile; read it again and repeat the edit")
        }
    }
}

extension Sequence<UInt8> {
    /// The bytes as lower-case hex digits.
    var hex: String {
        var text = ""
        let digits = Array("0123456789abcdef".unicodeScalars)
        for byte in self {
            text.unicodeScalars.append(digits[Int(byte >> 4)])
            text.unicodeScalars.append(digits[Int(byte & 15)])
        }
        return text
    }
}
