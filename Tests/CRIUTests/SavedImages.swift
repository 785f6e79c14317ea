/// A message of protobuf, written field by field.
struct Message {
    var bytes: [UInt8] = []

    private static func encoded(_ value: UInt64) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(truncatingIfNeeded: rest)]
    }

    func varint(_ number: UInt64, _ value: UInt64) -> Message {
        Message(bytes: bytes + Self.encoded(number << 3) + Self.encoded(value))
    }

    func field(_ number: UInt64, _ content: [UInt8]) -> Message {
        Message(bytes: bytes + Self.encoded(number << 3 | 2) + Self.encoded(UInt64(content.count)) + content)
    }

    func field(_ number: UInt64, _ content: Message) -> Message { field(number, content.bytes) }

    func field(_ number: UInt64, _ content: String) -> Message { field(number, Array(content.utf8)) }
}

/// Images as CRIU writes them, of a small dump.
enum SavedImages {
    /// The second magic numbers of images.
    enum Kind: UInt32 {
        case pstree = 0x5027_3030
        case core = 0x5505_3847
        case ids = 0x5443_2030
        case memory = 0x5749_2820
        case pagemap = 0x5608_4025
        case files = 0x5630_3138
        case descriptors = 0x5621_3732
        case remaps = 0x5913_3954
        case memoryFiles = 0x4845_3499
        case stream = 0x5146_5506
        case mounts = 0x5556_3928
    }

    static func image(_ kind: Kind, _ entries: [[UInt8]]) -> [UInt8] {
        func word(_ value: UInt32) -> [UInt8] {
            (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) }
        }
        return entries.reduce(word(0x5456_4319) + word(kind.rawValue)) {
            $0 + word(UInt32($1.count)) + $1
        }
    }

    static func process(_ pid: UInt64, _ parent: UInt64, threads: [UInt64] = []) -> [UInt8] {
        threads.reduce(Message().varint(1, pid).varint(2, parent).varint(3, pid).varint(4, 1)) {
            $0.varint(5, $1)
        }.bytes
    }

    static func core(name: [UInt8], state: UInt64 = 1, timers: Message = Message()) -> [UInt8] {
        let task = Message().varint(1, state).varint(2, 0).field(6, name).field(7, timers)
        return image(.core, [Message().varint(1, 1).field(3, task).bytes])
    }

    static func area(_ start: UInt64, _ end: UInt64, _ status: UInt64, shared: UInt64 = 0) -> [UInt8] {
        Message().varint(1, start).varint(2, end).varint(3, 0).varint(4, shared).varint(7, status).bytes
    }

    static func descriptor(_ number: UInt64, _ file: UInt64, _ type: UInt64) -> [UInt8] {
        Message().varint(1, file).varint(2, 0).varint(3, type).varint(4, number).bytes
    }

    private static func file(_ id: UInt64, _ type: UInt64, _ field: UInt64, _ content: Message) -> [UInt8] {
        Message().varint(1, type).varint(2, id).field(field, content).bytes
    }

    private static func regular(_ id: UInt64, _ name: String, flags: UInt64 = 0) -> [UInt8] {
        file(
            id, 1, 3,
            Message().varint(1, id).varint(2, flags).varint(3, 300).field(6, name).varint(7, 4)
                .varint(8, 400).varint(10, 0o100644))
    }

    private static var files: [[UInt8]] {
        let inet = Message().varint(1, 3).varint(2, 0xabc).varint(3, 2).varint(4, 1).varint(5, 6).varint(6, 1)
            .varint(7, 80).varint(8, 4096).varint(9, 0).varint(10, 0)
            .varint(11, 0x0200_000a).varint(12, 0x0300_000a)
        let unix = Message().varint(1, 4).varint(2, 77).varint(3, 1).varint(4, 10).varint(8, 0)
            .field(11, "\0abstract")
        let timer = Message().varint(1, 6).varint(4, 7).varint(7, 9_223_372_036_855).varint(8, 1)
        return [
            regular(1, "/var/log/messages", flags: 1),
            file(2, 2, 18, Message().varint(1, 2).varint(2, 55).varint(3, 0)),
            file(3, 4, 4, inet), file(4, 5, 16, unix), regular(5, "/bin/busybox"), file(6, 17, 12, timer),
            file(7, 18, 20, Message().varint(1, 7).varint(2, 2).varint(3, 0).varint(5, 1)),
        ]
    }

    private static func mount(
        _ kind: UInt64, _ device: UInt64, _ root: String, _ path: String, flags: UInt64 = 0
    ) -> [UInt8] {
        Message().varint(1, kind).varint(2, 1).varint(3, device).varint(4, 1).varint(5, flags)
            .field(6, root).field(7, path).field(8, "none").field(9, "").bytes
    }

    /// A small dump.
    static let example: [String: [UInt8]] = {
        let real = Message().varint(1, 0).varint(2, 0).varint(3, 5).varint(4, 0)
        let none = Message().varint(1, 0).varint(2, 0).varint(3, 0).varint(4, 0)
        let posix = Message().varint(1, 0).varint(2, 1).varint(3, 14).varint(7, 2).varint(8, 0).varint(9, 1)
            .varint(10, 2999)
        let timers = Message().field(1, real).field(2, none).field(3, none).field(4, posix)
        let areas = [
            area(0x1000, 0x6000, 1 | 1 << 6, shared: 5), area(0x10000, 0x13000, 1 | 1 << 9),
            area(0x20000, 0x22000, 1 | 1 << 8, shared: 9), area(0x30000, 0x31000, 1 | 1 << 8, shared: 9),
            area(0x40000, 0x41000, 1 | 1 << 14 | 1 << 7, shared: 7),
        ]
        let pages = [
            Message().varint(1, 1), Message().varint(1, 0x10000).varint(2, 3).varint(4, 4).varint(5, 3),
        ].map(\.bytes)
        let shared = [
            Message().varint(1, 2), Message().varint(1, 0).varint(2, 1).varint(4, 4).varint(5, 1),
        ].map(\.bytes)
        return [
            "pstree.img": image(.pstree, [process(1, 0, threads: [1]), process(7, 1, threads: [7, 8])]),
            "core-1.img": core(name: Array("init".utf8), timers: timers),
            "core-7.img": core(name: Array("worker".utf8), state: 3),
            "ids-1.img": image(.ids, [Message().varint(1, 1).varint(2, 3).varint(9, 6).bytes]),
            "ids-7.img": image(.ids, [Message().varint(1, 2).varint(2, 3).varint(9, 6).bytes]),
            "mm-1.img": image(
                .memory, [areas.reduce(Message().varint(12, 5)) { $0.field(14, $1) }.bytes]),
            "pagemap-1.img": image(.pagemap, pages),
            "pagemap-shmem-9.img": image(.pagemap, shared),
            "pagemap-shmem-12.img": image(.pagemap, shared),
            "files.img": image(.files, files),
            "fdinfo-3.img": image(
                .descriptors,
                [descriptor(0, 1, 1), descriptor(1, 2, 2), descriptor(2, 3, 4), descriptor(3, 4, 5)]),
            "remap-fpath.img": image(.remaps, [Message().varint(1, 1).varint(2, 1).varint(3, 1).bytes]),
            "memfd.img": image(
                .memoryFiles, [Message().field(1, "piece").varint(4, 4096).varint(5, 12).varint(7, 1).bytes]),
            "tcp-stream-abc.img": image(.stream, [Message().varint(1, 8).varint(3, 2).bytes]),
            "mountpoints-6.img": image(
                .mounts,
                [
                    mount(0, 5, "/pool/c1", "/"), mount(1, 6, "/", "/proc", flags: 1),
                    mount(0, 5, "/pool/c1/data", "/srv"),
                ]),
        ]
    }()
}
