package import Glibc
internal import LinuxSystem

/// What CRIU had in its memory when it died: the registers each task had before CRIU put its own code into it.
///
/// CRIU keeps them in its `struct thread_ctx`: the signals held back, the registers, a mark; then the extended
/// registers. It stands behind the number of the process or thread it belongs to.
package struct CRIUMemory {
    /// How a thread was before CRIU changed it.
    package struct Context: Hashable {
        package var signalMask: UInt64
        package var registers: [UInt8]
        /// From here on the extended registers, as far as memory goes.
        package var extended: [UInt8]
    }

    private var regions: [[UInt64]]

    /// Reads the memory of a CRIU that stands still.
    init(of pid: pid_t) {
        regions = []
        guard let maps = try? Files.text("/proc/\(pid)/maps", limit: 16 << 20),
            let memory = try? FileDescriptor.open("/proc/\(pid)/mem", O_RDONLY)
        else { return }
        var room = Self.mostBytes
        for mapping in MemoryMapping.parse(maps)
        where mapping.permissions.hasPrefix("rw") && mapping.permissions.hasSuffix("p") {
            // What belongs to a file holds variables, not what is allocated.
            let size = Int(mapping.end - mapping.start)
            guard mapping.path.isEmpty || mapping.path == "[heap]", size <= room else { continue }
            room -= size
            regions.append(Self.words(memory, mapping.start, size))
        }
    }

    /// Words that are memory, for tests.
    package init(words: [UInt64]) { regions = [words] }

    private static let mostBytes = 256 << 20

    private static func words(_ memory: FileDescriptor, _ start: UInt64, _ size: Int) -> [UInt64] {
        [UInt64](unsafeUninitializedCapacity: size / 8) { room, count in
            let got = pread(memory.rawValue, room.baseAddress, size, off_t(truncatingIfNeeded: start))
            count = max(0, got) / 8
        }
    }

    /// The context of a thread, told by its number and by the registers that CRIU never changes. Nil: there is none, or
    /// more than one that differ.
    package func context(of thread: pid_t, _ now: Registers) -> Context? {
        var found: Set<Context> = []
        for region in regions {
            region.withUnsafeBufferPointer { words in
                var position = Self.reach
                while position + Registers.count + 1 < words.count {
                    defer { position += 1 }
                    guard words[position + Registers.codeSegment] == now[Registers.codeSegment],
                        words[position + Registers.threadBase] == now[Registers.threadBase],
                        words[position + Registers.stackSegment] == now[Registers.stackSegment],
                        words[position + Registers.count] & 0xffff == Self.nativeMark,
                        // The mask comes before the registers, the number some words before that.
                        (position - Self.reach..<position - 1).contains(where: {
                            UInt32(truncatingIfNeeded: words[$0]) == UInt32(thread)
                        })
                    else { continue }
                    found.insert(Self.context(words, at: position))
                }
            }
        }
        return found.count == 1 ? found.first : nil
    }

    private static func context(_ words: UnsafeBufferPointer<UInt64>, at position: Int) -> Context {
        let registers = words[position..<position + Registers.count]
        let extended = min(position - 1 + extendedOffset, words.count)
        return Context(
            signalMask: words[position - 1], registers: bytes(registers),
            extended: bytes(words[extended..<min(extended + 512, words.count)]))
    }

    private static func bytes(_ words: Slice<UnsafeBufferPointer<UInt64>>) -> [UInt8] {
        words.flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } }
    }

    /// CRIU's NATIVE_MAGIC, behind the registers of a task of 64 bits.
    private static let nativeMark: UInt64 = 0x0a
    /// How many words before the registers the number of its process may stand.
    private static let reach = 80
    /// The extended registers stand 320 bytes behind the signal mask.
    private static let extendedOffset = 40
}

/// The general registers of a thread of 64 bits on x86, in the kernel's order.
package struct Registers: Hashable {
    package static let count = 27
    package static let instruction = 16
    package static let codeSegment = 17
    package static let stackSegment = 20
    package static let threadBase = 21

    var words: [UInt64]

    /// Nil: they are of another kind.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.count * 8 else { return nil }
        words = (0..<Self.count).map { index in
            (0..<8).reduce(0) { $0 | UInt64(bytes[index * 8 + $1]) << UInt64(8 * $1) }
        }
        guard words[Self.codeSegment] == 0x33 else { return nil }
    }

    package subscript(_ index: Int) -> UInt64 { words[index] }
}

/// A line of `/proc/<pid>/maps`.
struct MemoryMapping: Hashable {
    var start: UInt64
    var end: UInt64
    var permissions: String
    var offset: UInt64
    var path: String

    static func parse(_ text: String) -> [MemoryMapping] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
            let range = words[0].split(separator: "-")
            guard words.count >= 5, range.count == 2, let start = UInt64(range[0], radix: 16),
                let end = UInt64(range[1], radix: 16), let offset = UInt64(words[2], radix: 16)
            else { return nil }
            let path = words.count > 5 ? words[5].drop { $0 == " " } : ""
            return MemoryMapping(
                start: start, end: end, permissions: String(words[1]), offset: offset, path: String(path))
        }
    }
}
