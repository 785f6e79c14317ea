import ContainerRuntime
import Testing

/// The frames that tell neighbours where a container is, against what the protocols say.
@Suite struct AnnouncementTests {
    private let hardware: [UInt8] = [0x00, 0x16, 0x3e, 0x01, 0x02, 0x03]

    @Test func gratuitousARP() throws {
        let frame = try #require(AnnouncementFrame.arp([10, 1, 2, 3], hardware))
        #expect(
            frame == [
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x16, 0x3e, 0x01, 0x02, 0x03, 0x08, 0x06,
                0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01,
                0x00, 0x16, 0x3e, 0x01, 0x02, 0x03, 10, 1, 2, 3,
                0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 10, 1, 2, 3,
            ])
    }

    @Test func unsolicitedNeighbourAdvertisement() throws {
        let address: [UInt8] = [0xfd, 0x42, 0, 0, 0, 0, 0, 0, 0x02, 0x16, 0x3e, 0xff, 0xfe, 0x01, 0x02, 0x03]
        let frame = try #require(AnnouncementFrame.neighbour(address, hardware))
        #expect(frame.count == 14 + 40 + 32)
        #expect(frame[0..<6] == [0x33, 0x33, 0, 0, 0, 1])
        #expect(frame[12..<14] == [0x86, 0xdd])
        // Hop limit 255, from the address, to all nodes.
        #expect(frame[14 + 7] == 255)
        #expect(Array(frame[22..<38]) == address)
        #expect(frame[38] == 0xff && frame[53] == 1)
        let message = Array(frame[54...])
        #expect(message[0] == 136)
        #expect(message[4] == 0x20)
        #expect(Array(message[8..<24]) == address)
        #expect(Array(message[24...]) == [2, 1] + hardware)
        // With its checksum in place the sum of everything is all ones.
        let pseudo = Array(frame[22..<54]) + [0, 0, 0, UInt8(message.count), 0, 0, 0, 58]
        var sum = UInt32(0)
        for (index, byte) in (pseudo + message).enumerated() {
            sum += index.isMultiple(of: 2) ? UInt32(byte) << 8 : UInt32(byte)
        }
        while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
        #expect(sum == 0xffff)
    }

    @Test func whatIsNoAddressHasNoFrame() {
        #expect(AnnouncementFrame.arp([1, 2, 3], hardware) == nil)
        #expect(AnnouncementFrame.neighbour([1, 2, 3, 4], hardware) == nil)
        #expect(AnnouncementFrame.arp([1, 2, 3, 4], []) == nil)
    }
}
