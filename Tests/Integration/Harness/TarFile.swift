import Foundation

/// Writes tar archives that no tar would write.
struct TarFile {
    private(set) var data = Data()

    /// The kinds of entries.
    enum Kind: UInt8 {
        case file = 0x30
        case hardLink = 0x31
        case symbolicLink = 0x32
        case characterDevice = 0x33
        case blockDevice = 0x34
        case folder = 0x35
    }

    /// Adds an entry, as it is told.
    mutating func add(
        _ name: String, _ kind: Kind = .file, content: String = "", link: String = "", mode: Int = 0o755,
        size claimed: Int? = nil, device: (Int, Int) = (0, 0)
    ) {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, _ offset: Int, _ room: Int) {
            for (index, byte) in text.utf8.prefix(room).enumerated() { header[offset + index] = byte }
        }
        func octal(_ number: Int, _ digits: Int) -> String {
            let text = String(number, radix: 8)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        let bytes = Data(content.utf8)
        put(name, 0, 100)
        put(octal(mode, 7), 100, 8)
        put(octal(0, 7), 108, 8)
        put(octal(0, 7), 116, 8)
        put(octal(claimed ?? bytes.count, 11), 124, 12)
        put(octal(1_700_000_000, 11), 136, 12)
        put("        ", 148, 8)
        header[156] = kind.rawValue
        put(link, 157, 100)
        put("ustar", 257, 6)
        put("00", 263, 2)
        put(octal(device.0, 7), 329, 8)
        put(octal(device.1, 7), 337, 8)
        put(octal(header.reduce(0) { $0 + Int($1) }, 6), 148, 7)
        header[155] = 0x20
        data.append(contentsOf: header)
        data.append(bytes)
        data.append(Data(count: (512 - bytes.count % 512) % 512))
    }

    /// What an image has to begin with.
    mutating func addMetadata(_ text: String? = nil) {
        add(
            "metadata.yaml",
            content: text
                ?? "architecture: \(TestImage.architecture)\ncreation_date: 1700000000\nproperties: {os: evil}\n"
        )
        add("rootfs/", .folder)
    }

    /// Ends the archive and writes it to a file.
    func write(to path: String) throws {
        try (data + Data(count: 1024)).write(to: URL(filePath: path))
    }
}
