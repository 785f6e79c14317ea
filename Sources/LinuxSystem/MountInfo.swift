public import Glibc

/// One line of `/proc/<pid>/mountinfo`.
public struct MountInfo: Sendable, Hashable {
    /// The mount's id and its parent's.
    public var id: Int
    /// The id of the mount it is mounted on.
    public var parent: Int
    /// Device number of the file system.
    public var major: UInt32
    /// Device number of the file system.
    public var minor: UInt32
    /// What part of the file system is shown: `/` is all of it.
    public var root: String
    /// Where it is mounted.
    public var mountPoint: String
    /// Options of the mount.
    public var options: [String]
    /// `shared:N`, `master:N` and such.
    public var propagation: [String]
    /// Kind of file system.
    public var type: String
    /// Device or name that was mounted.
    public var source: String
    /// Options of the file system.
    public var superOptions: [String]

    /// The mounts this process sees.
    public static func current() throws -> [MountInfo] {
        parse(try Files.text("/proc/self/mountinfo", limit: 256 << 20))
    }

    /// The mounts a process sees.
    public static func of(pid: pid_t) throws -> [MountInfo] {
        parse(try Files.text("/proc/\(pid)/mountinfo", limit: 256 << 20))
    }

    /// The lines that make sense; others are left out.
    public static func parse(_ text: String) -> [MountInfo] {
        text.split(separator: "\n").compactMap { parse(line: $0) }
    }

    private static func parse(line: Substring) -> MountInfo? {
        let words = line.split(separator: " ", omittingEmptySubsequences: false)
        guard let dash = words.firstIndex(of: "-"), dash >= 6, words.count >= dash + 4,
            let id = Int(words[0]), let parent = Int(words[1])
        else { return nil }
        let device = words[2].split(separator: ":")
        guard device.count == 2, let major = UInt32(device[0]), let minor = UInt32(device[1]) else {
            return nil
        }
        return MountInfo(
            id: id, parent: parent, major: major, minor: minor, root: unescape(words[3]),
            mountPoint: unescape(words[4]), options: words[5].split(separator: ",").map(String.init),
            propagation: words[6..<dash].map(String.init), type: String(words[dash + 1]),
            source: unescape(words[dash + 2]),
            superOptions: words[dash + 3].split(separator: ",").map(String.init))
    }

    /// Turns `\040` and other octal escapes back into what they stand for.
    static func unescape(_ word: Substring) -> String {
        guard word.utf8.contains(UInt8(ascii: "\\")) else { return String(word) }
        let bytes = Array(word.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "\\"), index + 3 < bytes.count,
                let value = UInt8(String(decoding: bytes[(index + 1)...(index + 3)], as: UTF8.self), radix: 8)
            {
                result.append(value)
                index += 4
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
