import Glibc

/// A file name, or a path of several, as the bytes it is: the kernel does not ask for UTF-8.
struct FileName: Hashable, Comparable, Sendable {
    /// The bytes, with a zero at the end.
    private let bytes: [CChar]

    /// Copies a name.
    init(_ name: UnsafePointer<CChar>) {
        bytes = Array(UnsafeBufferPointer(start: name, count: strlen(name) + 1))
    }

    /// A name that is text.
    init(_ text: String) { bytes = Array(text.utf8CString) }

    private init(bytes: [CChar]) { self.bytes = bytes }

    /// A name, or path, of bytes other than zero.
    init(bytes: some Collection<UInt8>) { self.bytes = bytes.map { CChar(bitPattern: $0) } + [0] }

    /// The empty path: the root of a tree.
    static let root = FileName("")

    /// By bytes: a directory comes before what is in it.
    static func < (one: FileName, other: FileName) -> Bool {
        one.withPointer { one in other.withPointer { strcmp(one, $0) < 0 } }
    }

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

    func appending(_ name: FileName) -> FileName { name.withPointer { appending($0) } }

    /// The directory around a path below a root, and the last name.
    var split: (directory: FileName, name: FileName) {
        let path = bytes.dropLast()
        guard let slash = path.lastIndex(of: 47) else { return (.root, self) }
        return (FileName(bytes: Array(path[..<slash]) + [0]), FileName(bytes: Array(bytes[(slash + 1)...])))
    }

    /// Whether this is a path below another, or that one.
    func isWithin(_ other: FileName) -> Bool {
        if other.isEmpty { return true }
        let path = other.bytes.dropLast()
        return bytes.starts(with: path) && (bytes[path.count] == 0 || bytes[path.count] == 47)
    }

    /// The single names of a path.
    var components: [FileName] {
        bytes.dropLast().split(separator: 47).map { FileName(bytes: Array($0) + [0]) }
    }
}
