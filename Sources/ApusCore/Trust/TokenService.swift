import ApusAPI
import Synchronization

/// Secrets that open one door once. Each is an operation of class "token": it runs until the secret is used, expires,
/// or the operation is cancelled. They are in memory only, and gone with the daemon.
final class TokenService: Sendable {
    /// What a token is for.
    enum Door: Sendable, Hashable {
        /// A client adds itself under a name.
        case join(name: String)
        /// An image that is not public may be fetched.
        case image(fingerprint: String)
    }

    private struct Token {
        let secret: String
        let door: Door
        let used: Occurrence
    }

    private let operations: OperationService
    private let tokens = Mutex<[Int: Token]>([:])
    private let numbers = Mutex(0)

    init(operations: OperationService) { self.operations = operations }

    /// Makes a token; its secret is in the operation's metadata.
    func issue(
        _ door: Door, _ description: String, resources: [String: [String]] = [:],
        metadata: [String: JSONValue] = [:], lifetime: Duration
    ) -> ApusAPI.Operation {
        let number = numbers.withLock { number in
            number += 1
            return number
        }
        let token = Token(secret: RandomID.secret(), door: door, used: Occurrence())
        tokens.withLock { $0[number] = token }
        var metadata = metadata
        metadata["secret"] = .string(token.secret)
        return operations.start(
            description, class: "token", resources: resources, metadata: metadata, isSession: true,
            mayCancel: true, cancel: { [self] in forget(number) }
        ) { [self] _ in
            let used = await token.used.wait(lifetime)
            forget(number)
            try Task.checkCancellation()
            guard used else { throw ServiceError.badRequest("The token has expired") }
            return nil
        }
    }

    /// What a secret opens, if it opens anything now.
    func door(of secret: String) -> Door? { find(secret)?.token.door }

    /// Whether a secret opens a door; it still does afterwards.
    func opens(_ secret: String, _ door: Door) -> Bool { self.door(of: secret) == door }

    /// Uses a secret up.
    /// - Returns: what it opened; nil if it opens nothing, or somebody else was quicker.
    func use(_ secret: String) -> Door? {
        guard let (number, token) = find(secret),
            tokens.withLock({ $0.removeValue(forKey: number) }) != nil
        else { return nil }
        token.used.happen()
        return token.door
    }

    /// All are looked at, each for as long as any other: the time tells nothing.
    private func find(_ secret: String) -> (number: Int, token: Token)? {
        tokens.withLock { tokens in
            var found: (Int, Token)?
            for (number, token) in tokens where constantTimeEqual(token.secret, secret) {
                found = (number, token)
            }
            return found
        }
    }

    private func forget(_ number: Int) { tokens.withLock { _ = $0.removeValue(forKey: number) } }
}
