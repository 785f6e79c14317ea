import Glibc
import Images
import LinuxSystem

/// Makes tarballs byte by byte, as no honest program would.
struct TarBuilder {
    private(set) var bytes: [UInt8] = []

    /// A tarball with the metadata that every image has.
    static func image(
        architecture: String = ImageArchitecture.current, _ body: (inout TarBuilder) -> Void
    ) -> TarBuilder {
        var tar = TarBuilder()
        tar.file(
            "metadata.yaml",
            "architecture: \(architecture)\ncreation_date: 1700000000\nproperties:\n  os: Test\n")
        tar.directory("rootfs/")
        body(&tar)
        return tar
    }

    mutating func file(_ name: String, _ content: String, mode: Int = 0o644, owner: Int = 0) {
        header(name, type: "0", size: content.utf8.count, mode: mode, owner: owner)
        data(Array(content.utf8))
    }

    mutating func directory(_ name: String, mode: Int = 0o755) { header(name, type: "5", mode: mode) }
    mutating func symlink(_ name: String, to target: String) { header(name, type: "2", link: target) }
    mutating func hardLink(_ name: String, to target: String) { header(name, type: "1", link: target) }
    mutating func device(_ name: String) { header(name, type: "3", mode: 0o666, major: 1, minor: 3) }
    mutating func fifo(_ name: String) { header(name, type: "6", mode: 0o620) }

    /// A file that claims a size without having the data.
    mutating func claim(_ name: String, size: Int) { header(name, type: "0", size: size) }

    /// Records of the pax format for the next entry: long names, extended attributes.
    mutating func extended(_ records: [(String, [UInt8])]) {
        var content: [UInt8] = []
        for (key, value) in records {
            let rest =
                [UInt8(ascii: " ")] + Array(key.utf8) + [UInt8(ascii: "=")] + value + [UInt8(ascii: "\n")]
            var length = rest.count + 1
            while String(length).utf8.count + rest.count != length { length += 1 }
            content += Array(String(length).utf8) + rest
        }
        header("pax", type: "x", size: content.count)
        data(content)
    }

    mutating func data(_ content: [UInt8]) {
        bytes += content
        bytes += [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    /// Writes the tarball, with its end.
    func write(to path: String) throws { try Files.write(path, bytes + [UInt8](repeating: 0, count: 1024)) }

    private mutating func header(
        _ name: String, type: Character, size: Int = 0, mode: Int = 0o644, owner: Int = 0, link: String = "",
        major: Int = 0, minor: Int = 0
    ) {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int, _ length: Int) {
            for (index, byte) in text.utf8.prefix(length).enumerated() { block[offset + index] = byte }
        }
        func octal(_ number: Int, _ width: Int) -> String {
            let digits = String(number, radix: 8)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        put(name, at: 0, 100)
        put(octal(mode, 7), at: 100, 7)
        put(octal(owner, 7), at: 108, 7)
        put(octal(owner, 7), at: 116, 7)
        put(octal(size, 11), at: 124, 11)
        put(octal(1_600_000_000, 11), at: 136, 11)
        put("        ", at: 148, 8)
        put(String(type), at: 156, 1)
        put(link, at: 157, 100)
        put("ustar", at: 257, 5)
        put("00", at: 263, 2)
        put(octal(major, 7), at: 329, 7)
        put(octal(minor, 7), at: 337, 7)
        put(octal(block.reduce(0) { $0 + Int($1) }, 6), at: 148, 6)
        block[154] = 0
        bytes += block
    }
}
