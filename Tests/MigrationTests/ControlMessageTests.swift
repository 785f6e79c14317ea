import FoundationEssentials
import Migration
import SwiftProtobuf
import Testing

@Suite struct ControlMessageTests {
    /// What LXD 5.0.2 sends for a stopped container on a pool of type dir, byte for byte as the protocol's definition
    /// gives it: its decoder and ours have to agree on every number.
    @Test func aHeaderOfLXD() throws {
        let bytes: [UInt8] = [
            0x08, 0x00,  // fs = RSYNC
            0x1a, 0x0e, 0x08, 0x01, 0x10, 0x00, 0x18, 0xc0, 0x84, 0x3d, 0x20, 0x00, 0x28, 0x80, 0x80, 0x04,
            0x22, 0x02, 0x73, 0x30,  // snapshotNames = "s0"
            0x38, 0x00,  // predump = false
            0x42, 0x08, 0x08, 0x01, 0x10, 0x01, 0x18, 0x01, 0x20, 0x01,
            0x68, 0x01,  // indexHeaderVersion = 1
        ]
        let header = try ControlMessages.decode(MigrationHeader.self, bytes)
        #expect(header.fs == .rsync)
        #expect(!header.hasCriu)
        #expect(header.idmap.map(\.hostid) == [1_000_000])
        #expect(header.idmap.map(\.maprange) == [65_536])
        #expect(header.snapshotNames == ["s0"])
        #expect(header.rsyncFeatures.xattrs && header.rsyncFeatures.bidirectional)
        #expect(header.indexHeaderVersion == 1)
        #expect(try ControlMessages.encode(header) == bytes)
    }

    @Test func theLastWordIsLXDs() throws {
        #expect(try ControlMessages.encode(success: true) == [0x08, 0x01, 0x12, 0x00])
    }

    @Test func lxdSkipsWhatIsOurs() throws {
        var header = MigrationHeader()
        header.fs = .rsync
        header.apusOffer.version = ControlMessages.version
        header.apusOffer.moveID = "m"
        header.apusOffer.live = true
        header.apusOffer.instance = Data("{}".utf8)
        header.apusOffer.secret = "s"
        let again = try ControlMessages.decode(MigrationHeader.self, ControlMessages.encode(header))
        #expect(again.apusOffer.moveID == "m")
        // The tag of field 1000 with a length: a decoder that does not know it can skip it.
        #expect(try ControlMessages.encode(header).dropFirst(2).prefix(2) == [0xc2, 0x3e])
    }

    @Test(arguments: [
        MoveMessage.commit(.init()), .resumed(.init()), .ended(.init()), .ready(.init()),
        .abort(.with { $0.reason = "no room" }), .freezing(.with { $0.attempt = 1 }),
        .chunk(.with { $0.piece = Data([1, 2, 3]) }),
    ])
    func messagesComeBack(message: MoveMessage) throws {
        #expect(try ControlMessages.decode(ControlMessages.encode(message)) == message)
    }

    @Test func rubbishIsRefused() throws {
        #expect(throws: MigrationError.self) { try ControlMessages.decode([0xff, 0xff, 0xff]) }
        #expect(throws: MigrationError.self) { try ControlMessages.decode([]) }
        // A chunk with nothing in it.
        #expect(throws: MigrationError.self) { try ControlMessages.decode([0x2a, 0x00]) }
        #expect(throws: MigrationError.self) { try ControlMessages.decode(MigrationHeader.self, []) }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            let bytes = (0..<Int.random(in: 1...200, using: &generator)).map { _ in UInt8.random(in: 0...255)
            }
            _ = try? ControlMessages.decode(bytes)
            _ = try? ControlMessages.decode(MigrationHeader.self, bytes)
        }
    }
}
