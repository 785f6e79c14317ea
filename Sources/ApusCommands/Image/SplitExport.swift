import ApusAPI
import ApusClient
import Glibc
import NIOCore

/// Writes the two files of an image as they come, one after the other.
struct SplitExport: Sendable {
    let boundary: String
    let folder: String?
    let target: String?

    /// Gives the names of what was written, for people.
    func write(_ body: ReplyBody, _ meter: TransferMeter) async throws -> String {
        var parser = MultipartParser(boundary: boundary)
        var written: [String] = []
        var file: Int32 = -1
        defer { if file >= 0 { close(file) } }
        while let bytes = try await body.next() {
            await meter.count(bytes.readableBytes)
            for event in try parser.take(Array(bytes.readableBytesView)) {
                switch event {
                case .part(let field, let filename):
                    if file >= 0 { close(file) }
                    let path = path(field, filename)
                    file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
                    guard file >= 0 else { throw FileFailure("open \(path)") }
                    written.append(path)
                case .bytes(let part):
                    try part.withUnsafeBytes { try FileIO.writeAll($0, to: file) }
                }
            }
        }
        guard parser.hasEnded, written.count == 2 else {
            throw Failure("the daemon broke off; \(written.joined(separator: " and ")) is not whole")
        }
        return written.joined(separator: " and ")
    }

    /// Where a part goes; never outside of where the user wants it.
    private func path(_ field: String, _ filename: String) -> String {
        if let target { return field == "rootfs" ? target + ".root" : target }
        let plain = PathText.lastComponent(filename)
        let name = plain.isEmpty || plain == "." || plain == ".." || plain == "/" ? field : plain
        return folder.map { PathText.join($0, name) } ?? name
    }
}
