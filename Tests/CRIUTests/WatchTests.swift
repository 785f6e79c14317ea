import CRIU
import Testing

@Suite("Watches in the images")
struct WatchTests {
    /// An image with one inotify descriptor: a watch on inode 7 by handle, and one on inode 8 by path.
    private var image: CRIUImage {
        get throws {
            let word: [UInt8] = [0x18, 0x81, 0x02]  // handle: 0x101
            let unnamed = field(7, [0x08, 8, 0x10, 1] + word)
            let named = field(7, [0x08, 8, 0x10, 1] + word + field(4, Array("/etc".utf8)))
            let first = field(5, [0x08, 1, 0x10, 7, 0x18, 2, 0x20, 0, 0x28, 0x2c, 0x30, 1] + unnamed)
            let second = field(5, [0x08, 1, 0x10, 8, 0x18, 2, 0x20, 0, 0x28, 0x2c, 0x30, 2] + named)
            let file = [0x08, 13, 0x10, 1] + field(13, [0x08, 1, 0x10, 0] + first + second)
            let header: [UInt8] = [0x19, 0x43, 0x56, 0x54, 0x38, 0x31, 0x30, 0x56]
            return try CRIUImage(
                name: "files.img", bytes: header + [UInt8(file.count), 0, 0, 0] + file, magic: .files)
        }
    }

    private func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        [number << 3 | 2, UInt8(bytes.count)] + bytes
    }

    @Test("Files without a path are found, with their handles") func unnamed() throws {
        let files = try CRIUWatches.unnamed(image)
        #expect(files.map(\.inode) == [7])
        #expect(files.first?.device == 0x2c)
        #expect(files.first?.handle == .init(type: 1, bytes: [1, 1, 0, 0, 0, 0, 0, 0]))
    }

    @Test("Another inode and handle take their places; the rest stays") func replace() throws {
        let new = CRIUWatches.Handle(type: 0x4d, bytes: Array(1...20))
        let changed = try #require(try CRIUWatches.replace(image) { _ in (inode: 99, handle: new) })
        let files = try CRIUWatches.unnamed(changed)
        #expect(files.map(\.inode) == [99])
        #expect(files.first?.handle == new)
        #expect(try CRIUWatches.replace(image) { _ in nil } == nil)
    }
}
