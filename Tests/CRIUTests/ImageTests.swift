import CRIU
import Testing

/// Image files: two magic numbers, then entries of a length and that many bytes.
@Suite struct ImageTests {
    static let statistics: [UInt8] = [0x40, 0x59, 0x10, 0x55, 0x06, 0x33, 0x09, 0x57]
    static let files: [UInt8] = [0x19, 0x43, 0x56, 0x54, 0x38, 0x31, 0x30, 0x56]

    @Test func entriesAreRead() throws {
        let bytes = Self.files + [3, 0, 0, 0, 1, 2, 3] + [0, 0, 0, 0] + [1, 0, 0, 0, 9]
        let image = try CRIUImage(name: "x", bytes: bytes, magic: .files)
        #expect(image.entries == [[1, 2, 3], [], [9]])
        #expect(image.bytes == bytes)
    }

    @Test func anotherKindIsRefused() {
        #expect(throws: CRIUError.self) {
            try CRIUImage(name: "x", bytes: Self.statistics, magic: .files)
        }
    }

    @Test func everyTruncationIsRefusedOrShorter() throws {
        let whole = Self.files + [3, 0, 0, 0, 1, 2, 3] + [1, 0, 0, 0, 9]
        for length in 0..<whole.count {
            let part = Array(whole.prefix(length))
            if length == 8 || length == 15 {
                #expect(
                    try CRIUImage(name: "x", bytes: part, magic: .files).entries.count == (length - 8) / 7)
            } else {
                #expect(throws: CRIUError.self) { try CRIUImage(name: "x", bytes: part, magic: .files) }
            }
        }
    }

    @Test func aHugeLengthIsRefused() {
        #expect(throws: CRIUError.self) {
            try CRIUImage(name: "x", bytes: Self.files + [0xff, 0xff, 0xff, 0xff, 1], magic: .files)
        }
    }

    @Test func aSymlinkOrMissingFileIsRefused() {
        #expect(throws: CRIUError.self) { try CRIUImage(path: "/proc/self/exe", magic: .files) }
        #expect(throws: CRIUError.self) { try CRIUImage(path: "/nonexistent/x", magic: .files) }
        #expect(throws: CRIUError.self) { try CRIUImage(path: "/proc", magic: .files) }
    }

    /// A timerfd as CRIU dumps it: flags and owner are fields that Apus does not know and must keep.
    private func timer(value: UInt8, interval: UInt8) -> [UInt8] {
        let owner: [UInt8] = [0x1a, 4, 0x08, 0, 0x10, 0]
        let timerfd: [UInt8] =
            [0x08, 5, 0x10, 2] + owner + [0x20, 1, 0x28, 0, 0x30, 0]
            + [0x38, value, 0x40, 0, 0x48, interval, 0x50, 0]
        return [0x08, 17, 0x10, 5, 0x62, UInt8(timerfd.count)] + timerfd
    }

    @Test func expiredPeriodicTimersAreArmed() throws {
        let regular: [UInt8] = [0x08, 1, 0x10, 4]
        let image = try CRIUImage(
            name: "files.img",
            bytes: Self.encode([regular, timer(value: 0, interval: 3), timer(value: 2, interval: 3)]),
            magic: .files)
        let mended = try #require(try CRIUTimers.mendExpired(image))
        #expect(mended.entries[0] == regular)
        #expect(mended.entries[2] == timer(value: 2, interval: 3))
        #expect(mended.entries[1] != image.entries[1])
        // Mended once, nothing is left to mend; the fields Apus does not know are still there.
        #expect(try CRIUTimers.mendExpired(mended) == nil)
        #expect(mended.entries[1].count == image.entries[1].count)
    }

    @Test func oneShotTimersStayAsTheyAre() throws {
        let image = try CRIUImage(
            name: "files.img", bytes: Self.encode([timer(value: 0, interval: 0)]), magic: .files)
        #expect(try CRIUTimers.mendExpired(image) == nil)
    }

    @Test func namesThatAreNotTextAreKept() throws {
        let regular: [UInt8] = [0x08, 1, 0x10, 4, 0x1a, 7, 0x08, 4, 0x32, 3, 0x2f, 0xff, 0x62]
        let image = try CRIUImage(
            name: "files.img", bytes: Self.encode([regular, timer(value: 0, interval: 3)]), magic: .files)
        #expect(try CRIUTimers.mendExpired(image)?.entries[0] == regular)
        #expect(try CRIUWatches.unnamed(image) == [])
    }

    @Test func aDamagedEntryIsAnError() throws {
        let image = try CRIUImage(name: "files.img", bytes: Self.encode([[0x62, 90, 1]]), magic: .files)
        #expect(throws: CRIUError.self) { try CRIUTimers.mendExpired(image) }
    }

    private static func encode(_ entries: [[UInt8]]) -> [UInt8] {
        entries.reduce(into: files) { $0 += [UInt8($1.count), 0, 0, 0] + $1 }
    }
}

/// Files whose names are gone.
@Suite struct RemapTests {
    @Test(arguments: [(0, true), (1, false), (2, false)] as [(UInt8, Bool)])
    func onlyLinksConcernTheFileSystem(_ kind: UInt8, _ links: Bool) throws {
        let magic: [UInt8] = [0x19, 0x43, 0x56, 0x54, 0x54, 0x39, 0x13, 0x59]
        let bytes = magic + [6, 0, 0, 0, 0x08, 1, 0x10, 2, 0x18, kind]
        let image = try CRIUImage(name: "remap-fpath.img", bytes: bytes, magic: .remaps)
        #expect(try CRIURemaps.linksFiles(image) == links)
    }
}
