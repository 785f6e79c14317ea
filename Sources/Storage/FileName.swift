import Glibc

/// A file name, or a path of several, as the bytes it is: the kernel does not ask for UTF-8.
struct FileName: Hashable, Sendable {
    /// The bytes, with a zero at the end.
    private let bytes: [CChar]

    /// Copies a name.
    init(_ name: UnsafePointer<CChar>) {
        bytes = Array(UnsafeBufferPointer(start: name, count: strlen(name) + 1))
    }

    /// A name that is text.
    init(_ text: String) { bytes = Array(text.utf8CString) }

    private init(bytes: [CChar]) { self.bytes = bytes }

    /// The empty path: the root of a tree.
    static let root = FileName("")

    /// Whether this is the root of a tree.
    var isEmpty: Bool { bytes.count == 1 }

    /// For messages.
    var text: String { bytes.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" } }

    /// Calls `body` with a C string.
    func withPointer<Result>(_ body: (UnsafePointer<CChar>) throws -> Result) rethrows -> Result {
        try bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return try "".withCString(body) }
            return try body(base)
        }
    }

    /// A name in this directory.
    func appending(_ name: UnsafePointer<CChar>) -> FileName {
        var joined = Array(bytes.dropLast())
        if !joined.isEmpty { joined.append(47) }
        joined.append(contentsOf: UnsafeBufferPointer(start: name, count: strlen(name) + 1))
        return FileName(bytes: joined)
    }

    /// The single names of a path.
    var components: [FileName] {
        bytes.dropLast().split(separator: 47).map { FileName(bytes: Array($0) + [0]) }
    }
}
