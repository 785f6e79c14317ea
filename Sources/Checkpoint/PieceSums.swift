import Crypto
import Glibc
import LinuxSystem
import Synchronization

/// The sum of one file, made piece by piece, so that several threads can work on it, also while it still grows.
///
/// A file of one piece has its plain SHA-256. That of a larger one is the SHA-256 of the sums of its pieces, and its
/// entry says how long those are.
final class PieceSums: Sendable {
    /// How long the pieces of new files are.
    static let usualPiece: Int64 = 16 << 20

    private struct State {
        var next: Int64 = 0
        var sums: [Int64: [UInt8]] = [:]
        var size: Int64 = 0
        var reachedEnd = false
    }

    private let file: FileDescriptor
    private let piece: Int64
    private let roomSize: Int64
    private let state = Mutex(State())

    /// - Parameter size: how long the file is, if that is known: of a small one less is read at a time.
    init(_ file: FileDescriptor, piece: Int64 = PieceSums.usualPiece, size: Int64 = .max) {
        self.file = file
        self.piece = max(piece, 4096)
        roomSize = min(1 << 18, max(size, 4096))
    }

    /// Works on one piece after another until there is none left. Called by each of the threads.
    ///
    /// `isComplete` tells whether the file has its full length; at its present end before that, `pause` is called.
    func work(isComplete: () -> Bool = { true }, pause: () -> Void = {}) throws {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(roomSize), alignment: 4096)
        defer { room.deallocate() }
        while let number = takePiece() {
            var hash = SHA256()
            let start = number * piece
            var position = start
            while position < start + piece {
                // Asked before reading: what is written up to then is read for certain.
                let complete = isComplete()
                let wanted = min(room.count, Int(start + piece - position))
                let count = try check("pread", "read an image") {
                    pread(file.rawValue, room.baseAddress, wanted, Int(position))
                }
                if count > 0 {
                    hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: room.prefix(count)))
                    position += Int64(count)
                } else if complete {
                    break
                } else {
                    pause()
                }
            }
            add(Array(hash.finalize()), of: number, length: position - start)
        }
    }

    /// The file's entry, when all threads have done.
    var entry: Manifest.Entry {
        state.withLock { state in
            let sums = state.sums.sorted { $0.key < $1.key }.map(\.value)
            guard sums.count > 1 else {
                return Manifest.Entry(size: state.size, sha256: Self.text(sums.first ?? []))
            }
            let whole = SHA256.hash(data: sums.flatMap { $0 })
            return Manifest.Entry(size: state.size, sha256: Self.text(Array(whole)), piece: piece)
        }
    }

    private func takePiece() -> Int64? {
        state.withLock { state in
            guard !state.reachedEnd else { return nil }
            defer { state.next += 1 }
            return state.next
        }
    }

    private func add(_ sum: [UInt8], of number: Int64, length: Int64) {
        state.withLock { state in
            if length < piece { state.reachedEnd = true }
            guard length > 0 || number == 0 else { return }
            state.sums[number] = sum
            state.size = max(state.size, number * piece + length)
        }
    }

    private static func text(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }
}
