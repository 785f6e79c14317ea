import Crypto
import CryptoExtras
import Dispatch
import Foundation

/// Passwords, kept so that whoever reads them cannot use them: scrypt with a salt of its own for each.
package enum PasswordHash {
    /// 2^15 rounds over 8 blocks take 32 MiB and about a tenth of a second, for the daemon as for a guesser.
    private static let rounds = 1 << 15
    private static let blockSize = 8
    private static let length = 32
    /// One at a time, so that many who try do not take many times the memory.
    private static let queue = DispatchQueue(label: "apus.password")

    /// What is kept of a password: "scrypt$rounds$block size$salt$hash".
    package static func make(_ password: String) async throws -> String {
        let salt = RandomID.bytes(16)
        let hash = try await derive(password, salt: salt, rounds: rounds, blockSize: blockSize)
        return "scrypt$\(rounds)$\(blockSize)$\(salt.hex)$\(hash)"
    }

    /// Whether this is the password of which `kept` was made. Takes as long for a wrong one.
    package static func matches(_ password: String, _ kept: String) async throws -> Bool {
        let parts = kept.split(separator: "$", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 5, parts[0] == "scrypt", let rounds = Int(parts[1]),
            let blockSize = Int(parts[2]),
            let salt = bytes(parts[3])
        else { throw ServiceError.failure("The stored trust password cannot be read; set it anew") }
        let hash = try await derive(password, salt: salt, rounds: rounds, blockSize: blockSize)
        return constantTimeEqual(hash, parts[4])
    }

    /// Not on the threads that everything else shares: it blocks for long.
    private static func derive(
        _ password: String, salt: [UInt8], rounds: Int, blockSize: Int
    ) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            queue.async {
                continuation.resume(
                    with: Result {
                        try KDF.Scrypt.deriveKey(
                            from: Data(password.utf8), salt: salt, outputByteCount: length, rounds: rounds,
                            blockSize: blockSize, parallelism: 1
                        ).withUnsafeBytes { Array($0).hex }
                    })
            }
        }
    }

    private static func bytes(_ hex: String) -> [UInt8]? {
        guard hex.utf8.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        var rest = hex[...]
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}
