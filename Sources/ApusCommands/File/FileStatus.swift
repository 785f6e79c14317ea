import ArgumentParser
import Glibc

/// What a path on this machine leads to.
struct FileStatus {
    enum Kind {
        case file
        case directory
        case symlink
        case other
    }
    let kind: Kind
    let uid: Int
    let gid: Int
    let mode: Int
    let size: Int64

    init(_ path: String, followingLinks: Bool = true) throws {
        var status = stat()
        guard (followingLinks ? stat(path, &status) : lstat(path, &status)) == 0 else {
            throw FileFailure("read \(path)")
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: kind = .file
        case S_IFDIR: kind = .directory
        case S_IFLNK: kind = .symlink
        default: kind = .other
        }
        uid = Int(status.st_uid)
        gid = Int(status.st_gid)
        mode = Int(status.st_mode & 0o7777)
        size = Int64(status.st_size)
    }
}

/// Permissions in octal on the command line.
package struct OctalMode: ExpressibleByArgument, Sendable, Hashable {
    package let bits: Int

    package init?(argument: String) {
        let digits = argument.hasPrefix("0o") ? String(argument.dropFirst(2)) : argument
        guard let bits = Int(digits, radix: 8), (0...0o7777).contains(bits) else { return nil }
        self.bits = bits
    }
}

/// Paths as text, and what is found at them.
package enum PathText {
    /// Two parts with one slash between them.
    package static func join(_ folder: String, _ name: String) -> String {
        folder.hasSuffix("/") ? folder + name : folder + "/" + name
    }

    /// The name at the end; "/" is its own name.
    package static func lastComponent(_ path: String) -> String {
        let name = path.split(separator: "/").last.map(String.init) ?? "/"
        guard name == "." || name == "..", let real = realpath(path, nil) else { return name }
        defer { free(real) }
        return lastComponent(String(cString: real))
    }

    /// What is above the last name.
    package static func parent(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Where a link at `path` leads to, after `links` others.
    package static func following(_ link: String, from path: String, links: Int) throws -> String {
        guard links < 40 else { throw Failure("\(path): too many levels of symbolic links") }
        return link.hasPrefix("/") ? link : join(parent(path), link)
    }

    static func linkTarget(_ path: String) throws -> String {
        var room = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = room.withUnsafeMutableBytes { bytes in
            bytes.assumingMemoryBound(to: CChar.self).baseAddress.map { readlink(path, $0, bytes.count) }
                ?? -1
        }
        guard count >= 0 else { throw FileFailure("read the link \(path)") }
        return String(decoding: room[..<count], as: UTF8.self)
    }

    static func entries(of path: String) throws -> [String] {
        guard let folder = opendir(path) else { throw FileFailure("list \(path)") }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func makeFolders(_ path: String) throws {
        var made = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            made += made.isEmpty || made.hasSuffix("/") ? String(part) : "/\(part)"
            guard mkdir(made, 0o777) == 0 || errno == EEXIST else {
                throw FileFailure("make the directory \(made)")
            }
        }
    }
}
