import NIOCore

/// Files as the parts of a form, one after the other.
actor MultipartForm {
    typealias Part = (field: String, name: String, next: @Sendable () async throws -> ByteBuffer?)

    private let boundary: String
    private var parts: [Part]
    private var current: (@Sendable () async throws -> ByteBuffer?)?
    private var isFirst = true
    private var hasEnded = false

    init(boundary: String, parts: [Part]) {
        self.boundary = boundary
        self.parts = parts
    }

    /// The next bytes; nil at the end.
    func next() async throws -> ByteBuffer? {
        if let current {
            if let bytes = try await current() { return bytes }
            self.current = nil
        }
        guard !parts.isEmpty else {
            if hasEnded { return nil }
            hasEnded = true
            return ByteBuffer(string: "\r\n--\(boundary)--\r\n")
        }
        let part = parts.removeFirst()
        current = part.next
        let start = isFirst ? "" : "\r\n"
        isFirst = false
        let name = part.name.filter { $0 != "\"" && !$0.isNewline }
        return ByteBuffer(
            string: "\(start)--\(boundary)\r\n"
                + "Content-Disposition: form-data; name=\"\(part.field)\"; filename=\"\(name)\"\r\n"
                + "Content-Type: application/octet-stream\r\n\r\n")
    }
}
