import CStorage
import Glibc

/// Puts the content of files into a stream: all of it, or the blocks that differ from what was sent before.
final class ContentWriter {
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
    private let writer: RecordWriter
    /// Bytes of file data put into the stream.
    private(set) var bytes: UInt64 = 0

    init(_ writer: RecordWriter) { self.writer = writer }

    deinit { buffer.deallocate() }

    /// All of an open file, without its holes.
    func writeAll(_ file: Int32, _ stat: FileStat, path: UnsafePointer<CChar>) throws {
        if stat.size > 0 {
            if stat.isSparse {
                try FileExtents.forEach(file, size: stat.size, path: path) { start, end, isHole in
                    if !isHole { try writeRange(file, from: start, to: end, path: path) }
                }
            } else {
                try writeRange(file, from: 0, to: stat.size, path: path)
            }
        }
        try writeEnd(stat.size)
    }

    /// What differs from `sums`, and brings them up to date. Blocks they do not know are sent.
    func writeChanges(
        _ file: Int32, _ stat: FileStat, since sums: inout BlockSums, path: UnsafePointer<CChar>
    ) throws {
        let block = sums.block
        try FileExtents.forEach(file, size: stat.size, path: path) { start, end, isHole in
            if isHole {
                try writeHole(from: start, to: end, &sums)
                return
            }
            // Whole blocks: a hole's edge need not be one.
            var position = start / Int64(block) * Int64(block)
            let stop = min(stat.size, (end + Int64(block) - 1) / Int64(block) * Int64(block))
            while position < stop {
                let got = try Self.read(
                    file, buffer, at: position, upTo: min(buffer.count, Int(stop - position)), path)
                if got == 0 { return }
                try writeDifferent(UnsafeRawBufferPointer(rebasing: buffer[..<got]), at: position, &sums)
                position += Int64(got)
            }
        }
        let count = Int((stat.size + Int64(block) - 1) / Int64(block))
        if sums.sums.count > count { sums.sums.removeSubrange(count...) }
        try writeEnd(stat.size)
    }

    private func writeDifferent(_ data: UnsafeRawBufferPointer, at offset: Int64, _ sums: inout BlockSums)
        throws
    {
        var start = 0
        var pending = 0
        var position = 0
        while position < data.count {
            let length = min(sums.block, data.count - position)
            let index = Int(offset + Int64(position)) / sums.block
            let sum = BlockSums.sum(UnsafeRawBufferPointer(rebasing: data[position..<(position + length)]))
            if sum == sums[index] {
                try writeData(
                    UnsafeRawBufferPointer(rebasing: data[start..<(start + pending)]),
                    at: offset + Int64(start))
                start = position + length
                pending = 0
            } else {
                sums[index] = sum
                pending += length
            }
            position += length
        }
        try writeData(
            UnsafeRawBufferPointer(rebasing: data[start..<(start + pending)]), at: offset + Int64(start))
    }

    private func writeHole(from start: Int64, to end: Int64, _ sums: inout BlockSums) throws {
        let block = Int64(sums.block)
        // Blocks that are partly data come with the data.
        var index = Int((start + block - 1) / block)
        let last = Int(end / block)
        while index < last {
            let first = index
            while index < last, sums[index] != BlockSums.hole {
                sums[index] = BlockSums.hole
                index += 1
            }
            if index > first {
                try writer.byte(ContentPiece.hole.rawValue)
                try writer.number(UInt64(first) * UInt64(block))
                try writer.number(UInt64(index - first) * UInt64(block))
            } else {
                index += 1
            }
        }
    }

    private func writeData(_ data: UnsafeRawBufferPointer, at offset: Int64) throws {
        if data.isEmpty { return }
        let (kind, place, count) = (
            ContentPiece.data.rawValue, UInt64(offset).littleEndian, UInt32(data.count).littleEndian
        )
        try withUnsafeBytes(of: kind) { try writer.bytes($0) }
        try withUnsafeBytes(of: place) { try writer.bytes($0) }
        try withUnsafeBytes(of: count) { try writer.bytes($0) }
        try writer.bytes(data)
        bytes += UInt64(data.count)
    }

    /// A range without holes, straight from the file into the stream. Ends early where the file has become shorter.
    private func writeRange(
        _ file: Int32, from start: Int64, to end: Int64, path: UnsafePointer<CChar>
    ) throws {
        var position = start
        while position < end {
            let offset = position
            let count = try writer.direct(wanted: Int(end - position), head: ContentPiece.headSize) { room in
                try Self.read(file, room, at: offset, upTo: room.count, path)
            } finish: { head, count in
                head.storeBytes(of: ContentPiece.data.rawValue, as: UInt8.self)
                head.storeBytes(of: UInt64(offset).littleEndian, toByteOffset: 1, as: UInt64.self)
                head.storeBytes(of: UInt32(count).littleEndian, toByteOffset: 9, as: UInt32.self)
            }
            if count == 0 { return }
            position += Int64(count)
            bytes += UInt64(count)
        }
    }

    private func writeEnd(_ size: Int64) throws {
        try writer.byte(ContentPiece.end.rawValue)
        try writer.number(UInt64(size))
    }

    /// Reads until the room is full or the file ends.
    private static func read(
        _ file: Int32, _ room: UnsafeMutableRawBufferPointer, at offset: Int64, upTo limit: Int,
        _ path: UnsafePointer<CChar>
    ) throws -> Int {
        var got = 0
        while got < limit, let base = room.baseAddress {
            let count = pread(file, base + got, limit - got, Int(offset) + got)
            if count < 0 && errno == EINTR { continue }
            if count < 0 { throw FileFailure("read", String(cString: path), errno) }
            if count == 0 { break }
            got += count
        }
        return got
    }
}

/// The parts of a file that have data, and those that have none.
enum FileExtents {
    private static let data: Int32 = 3
    private static let hole: Int32 = 4

    /// Calls `body` with all parts of a file up to `size`, in order.
    static func forEach(
        _ file: Int32, size: Int64, path: UnsafePointer<CChar>,
        _ body: (_ start: Int64, _ end: Int64, _ isHole: Bool) throws -> Void
    ) throws {
        var position: Int64 = 0
        while position < size {
            var next = Int64(lseek(file, Int(position), data))
            if next < 0 {
                guard errno == ENXIO else { throw FileFailure("seek", String(cString: path), errno) }
                next = size
            }
            next = min(next, size)
            if next > position { try body(position, next, true) }
            if next == size { return }
            let end = Int64(lseek(file, Int(next), hole))
            // It became shorter meanwhile.
            if end < 0 && errno == ENXIO { return }
            if end < 0 { throw FileFailure("seek", String(cString: path), errno) }
            try body(next, min(end, size), false)
            position = min(end, size)
        }
    }
}
