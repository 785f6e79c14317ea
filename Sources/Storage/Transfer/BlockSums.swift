import CStorage
import Glibc

/// A sum for each block of a file as the other side has it, to send only blocks that have become others.
struct BlockSums {
    /// What stands for a block of zeros that takes no room.
    static let hole: UInt64 = 0
    /// What no block has: the other side does not have it.
    static let unknown: UInt64 = 2
    /// Sums are of no use to whoever does not know these: a container cannot make blocks of the same sum.
    private static let key: (UInt64, UInt64) = (
        .random(in: .min ... .max) | 1, .random(in: .min ... .max) | 1
    )

    /// The bytes of a block.
    let block: Int
    /// The sums; all that is behind them is unknown.
    var sums: [UInt64] = []

    /// For a file of that size: blocks of pages, larger ones in files so large that there would be a million.
    init(size: Int64) {
        var block = 4096
        while Int64(block) << 20 < size, block < 256 << 10 { block *= 2 }
        self.block = block
    }

    /// The sum of a block, never one of the two that stand for something.
    static func sum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var (a, b) = (key.0 ^ UInt64(bytes.count), key.1)
        var offset = 0
        while offset + 32 <= bytes.count {
            a = mix(
                bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) ^ key.0,
                bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self) ^ a)
            b = mix(
                bytes.loadUnaligned(fromByteOffset: offset + 16, as: UInt64.self) ^ key.1,
                bytes.loadUnaligned(fromByteOffset: offset + 24, as: UInt64.self) ^ b)
            offset += 32
        }
        while offset < bytes.count {
            a = mix(UInt64(bytes[offset]) ^ key.0, a ^ key.1)
            offset += 1
        }
        return mix(a ^ key.1, b ^ key.0) | 4
    }

    private static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }

    subscript(index: Int) -> UInt64 {
        get { index < sums.count ? sums[index] : Self.unknown }
        set {
            while sums.count <= index { sums.append(Self.unknown) }
            sums[index] = newValue
        }
    }
}
