import CRIU
import Glibc
import Testing

@Suite struct GhostTests {
    /// A field of a protobuf message: a number.
    private func field(_ number: UInt8, _ value: UInt8) -> [UInt8] { [number << 3, value] }
    /// A field of a protobuf message: bytes.
    private func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        [number << 3 | 2, UInt8(bytes.count)] + bytes
    }

    private func image(_ magic: CRIUImage.Magic, _ entries: [[UInt8]]) throws -> CRIUImage {
        let empty = try header(magic)
        return try CRIUImage(
            name: "test", bytes: empty + entries.flatMap { [UInt8($0.count), 0, 0, 0] + $0 }, magic: magic)
    }

    private func header(_ magic: CRIUImage.Magic) throws -> [UInt8] {
        let own: [UInt8] =
            switch magic {
            case .files: [0x38, 0x31, 0x30, 0x56]
            case .remaps: [0x54, 0x39, 0x13, 0x59]
            default: [0x28, 0x39, 0x56, 0x55]
            }
        return [0x19, 0x43, 0x56, 0x54] + own
    }

    private func file(_ id: UInt8, _ name: String, mount: UInt8) -> [UInt8] {
        // A signed number is written doubled.
        let regular = field(1, id) + field(6, Array(name.utf8)) + field(7, mount * 2)
        return field(1, 1) + field(2, id) + field(3, regular)
    }

    private func mount(_ id: UInt8, device: UInt8, root: String, at place: String) -> [UInt8] {
        field(2, id) + field(3, device) + field(6, Array(root.utf8)) + field(7, Array(place.utf8))
    }

    private func ghosts(_ files: [[UInt8]], _ remaps: [[UInt8]]) throws -> Set<CRIUGhosts.Ghost> {
        try CRIUGhosts.ghosts(
            remaps: image(.remaps, remaps), files: image(.files, files),
            mounts: [
                image(
                    .mounts,
                    [
                        mount(1, device: 8, root: "/pool/c1/rootfs", at: "./"),
                        mount(2, device: 9, root: "/", at: "./run"),
                        mount(3, device: 8, root: "/pool/c1/rootfs/var/private", at: "./tmp"),
                        mount(4, device: 8, root: "/etc", at: "./host"),
                    ])
            ])
    }

    @Test func onlyFilesOfTheRootWithoutANameHaveGhosts() throws {
        let found = try ghosts(
            [
                file(1, "/var/log/gone", mount: 1), file(2, "/run/gone", mount: 2),
                file(3, "/tmp/gone", mount: 3), file(4, "/host/passwd", mount: 4),
                file(5, "/var/log/there", mount: 1),
                file(6, "/var/linked", mount: 1),
            ],
            [
                field(1, 1) + field(2, 17) + field(3, 1), field(1, 2) + field(2, 2) + field(3, 1),
                field(1, 3) + field(2, 3) + field(3, 1), field(1, 4) + field(2, 4) + field(3, 1),
                field(1, 6) + field(2, 9) + field(3, 0),
            ])
        #expect(
            found == [
                .init(path: "var/log/gone.cr.11.ghost", formerPath: "var/log/gone"),
                .init(path: "var/private/gone.cr.3.ghost", formerPath: "var/private/gone"),
            ])
    }

    @Test func namesThatLeadOutAreNone() throws {
        let found = try ghosts(
            [file(1, "/../../etc/passwd", mount: 1)], [field(1, 1) + field(2, 1) + field(3, 1)])
        #expect(found.isEmpty)
    }
}

@Suite struct CRIUMemoryTests {
    private static let thread: Int32 = 4711

    private func registers(instruction: UInt64) -> [UInt64] {
        var words = (0..<UInt64(Registers.count)).map { $0 + 100 }
        words[Registers.instruction] = instruction
        words[Registers.codeSegment] = 0x33
        words[Registers.stackSegment] = 0x2b
        words[Registers.threadBase] = 0x7f00_1234
        return words
    }

    private func bytes(_ words: [UInt64]) -> [UInt8] {
        words.flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } }
    }

    /// A block as CRIU keeps it: whose it is, the mask, the registers, the mark.
    private func block(_ thread: Int32, mask: UInt64, instruction: UInt64) -> [UInt64] {
        [UInt64(thread), 0, 0, mask] + registers(instruction: instruction) + [0x0a]
            + [UInt64](repeating: 0, count: 90)
    }

    private func context(_ words: [UInt64]) throws -> CRIUMemory.Context? {
        let now = try #require(Registers(bytes(registers(instruction: 1))))
        return CRIUMemory(words: [UInt64](repeating: 0, count: 90) + words).context(of: Self.thread, now)
    }

    @Test func registersAreFoundByWhoseTheyAre() throws {
        let found = try context(
            block(12, mask: 9, instruction: 77) + block(Self.thread, mask: 5, instruction: 42))
        #expect(found?.signalMask == 5)
        #expect(found?.registers == bytes(registers(instruction: 42)))
    }

    @Test func twoThatDifferAreNone() throws {
        let twice =
            block(Self.thread, mask: 5, instruction: 42) + block(Self.thread, mask: 5, instruction: 43)
        #expect(try context(twice) == nil)
        #expect(try context([]) == nil)
    }
}

@Suite struct CRIUStallTests {
    @Test("The first argument of a system call, as /proc/<pid>/syscall shows it")
    func firstArgument() {
        let wait = "61 0x4242 0x7ffc1818ebbc 0x40000000 0x0 0x0 0x0 0x7ffc1818eb50 0x7f3818795a02\n"
        #expect(CRIUStall.firstArgument(wait) == 0x4242)
        for none in [
            "running\n", "-1 0x7ffc1818eb50 0x7f3818795a02\n", "", "61 x y\n", "61 0xffffffffffffffff 0x0\n",
        ] {
            #expect(CRIUStall.firstArgument(none) == nil, "\(none)")
        }
    }

    @Test("A process that only sleeps is waited for by nobody")
    func nobodyWaits() throws {
        #expect(CRIUStall(of: getpid(), below: getpid()) == nil)
    }
}
