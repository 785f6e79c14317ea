/// A body of type multipart/form-data that is none.
public struct MultipartError: Error, CustomStringConvertible {
    /// What is wrong with it.
    public let description: String

    init(_ description: String) { self.description = description }
}

/// Reads a body of type multipart/form-data piece by piece: bytes in, parts out. Has no effects.
public struct MultipartParser {
    /// What was found.
    public enum Event: Equatable {
        /// A part begins; these are its field's and its file's name.
        case part(String, filename: String)
        /// Some of the part's content.
        case bytes([UInt8])
    }

    private enum State {
        case preamble
        case headers
        case content
        case ended
    }

    /// The longest headers of a part.
    private static let longestHeaders = 8 << 10

    /// What ends the content of a part.
    private let delimiter: [UInt8]
    private var state = State.preamble
    private var buffer: [UInt8]

    /// A parser for a body with a boundary.
    public init(boundary: String) {
        delimiter = Array("\r\n--\(boundary)".utf8)
        // The first boundary has no line before it.
        buffer = Array("\r\n".utf8)
    }

    /// Whether the last boundary has been seen.
    public var hasEnded: Bool { state == .ended }

    /// The boundary that a Content-Type names.
    public static func boundary(in type: String) -> String? {
        for part in type.split(separator: ";").dropFirst() {
            let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
            guard pair.count == 2, pair[0].filter({ $0 != " " }).lowercased() == "boundary" else { continue }
            let value = pair[1].filter { $0 != "\"" && $0 != " " }
            return (1...70).contains(value.utf8.count) ? value : nil
        }
        return nil
    }

    /// Takes the next piece.
    public mutating func take(_ bytes: [UInt8]) throws -> [Event] {
        buffer += bytes
        var events: [Event] = []
        while let event = try step(&events) { events.append(event) }
        return events
    }

    /// Nil when more is needed.
    private mutating func step(_ events: inout [Event]) throws -> Event? {
        switch state {
        case .ended:
            buffer = []
            return nil
        case .preamble, .content:
            guard let end = find(delimiter, in: buffer) else {
                // All but what may be the beginning of a boundary.
                let sure = max(0, buffer.count - delimiter.count - 4)
                guard sure > 0 else { return nil }
                let content = Array(buffer[..<sure])
                buffer.removeFirst(sure)
                return state == .content ? .bytes(content) : try skip()
            }
            guard buffer.count >= end + delimiter.count + 2 else { return nil }
            let content = Array(buffer[..<end])
            let wasContent = state == .content
            let next = Array(buffer[(end + delimiter.count)..<(end + delimiter.count + 2)])
            buffer.removeFirst(end + delimiter.count + 2)
            if next == Array("--".utf8) {
                state = .ended
            } else if next == Array("\r\n".utf8) {
                state = .headers
                // So that headers that are not there end as well.
                buffer.insert(contentsOf: Array("\r\n".utf8), at: 0)
            } else {
                throw MultipartError("The multipart body has a broken boundary")
            }
            return wasContent && !content.isEmpty ? .bytes(content) : try step(&events)
        case .headers:
            guard let end = find(Array("\r\n\r\n".utf8), in: buffer) else {
                guard buffer.count <= Self.longestHeaders else {
                    throw MultipartError("The headers of a part of the multipart body are too long")
                }
                return nil
            }
            let headers = String(decoding: buffer[..<end], as: UTF8.self)
            buffer.removeFirst(end + 4)
            state = .content
            return .part(
                Self.value(of: "name", in: headers), filename: Self.value(of: "filename", in: headers))
        }
    }

    private mutating func skip() throws -> Event? {
        throw MultipartError("The multipart body does not begin with its boundary")
    }

    private func find(_ needle: [UInt8], in bytes: [UInt8]) -> Int? {
        guard bytes.count >= needle.count, let first = needle.first else { return nil }
        var index = 0
        let last = bytes.count - needle.count
        while index <= last {
            guard let start = bytes[index...last].firstIndex(of: first) else { return nil }
            if bytes[start..<(start + needle.count)].elementsEqual(needle) { return start }
            index = start + 1
        }
        return nil
    }

    /// A parameter of a part's Content-Disposition.
    private static func value(of parameter: String, in headers: String) -> String {
        for line in headers.split(whereSeparator: \.isNewline) {
            guard line.lowercased().hasPrefix("content-disposition:") else { continue }
            for field in line.split(separator: ";").dropFirst() {
                let pair = field.split(separator: "=", maxSplits: 1)
                guard pair.count == 2, pair[0].filter({ $0 != " " }).lowercased() == parameter else {
                    continue
                }
                return pair[1].filter { $0 != "\"" && $0 != " " }
            }
        }
        return ""
    }
}
