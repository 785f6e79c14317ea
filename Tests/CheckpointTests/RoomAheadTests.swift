import Checkpoint
import Glibc
import LinuxSystem
import Testing

/// Room for images that are being written.
@Suite struct RoomAheadTests {
    @Test func roomIsReservedBehindALargeFileAndGivenBack() throws {
        let path = "/var/tmp/apus-room-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let file = try FileDescriptor.open(path, O_RDWR | O_CREAT | O_EXCL)
        defer { unlink(path) }
        // Nothing to see where the tests run on another file system.
        guard let room = RoomAhead(file) else { return }
        let mebibyte = [UInt8](repeating: 7, count: 1 << 20)
        try file.write(mebibyte)
        room.reserve()
        #expect(try file.status().st_blocks * 512 <= 2 << 20, "a small file got room")
        for _ in 1..<9 { try file.write(mebibyte) }
        room.reserve()
        let status = try file.status()
        #expect(status.st_size == 9 << 20)
        #expect(status.st_blocks * 512 >= 128 << 20)
        try file.write(mebibyte)
        room.giveBack()
        fsync(file.rawValue)
        #expect(try file.status().st_size == 10 << 20)
        #expect(try file.status().st_blocks * 512 < 12 << 20)
        #expect(try file.readFromStart() == [UInt8](repeating: 7, count: 10 << 20))
    }
}
