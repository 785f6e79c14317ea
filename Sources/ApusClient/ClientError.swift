/// Something that did not work: the daemon's own words where it had some, else what was tried and what to do.
public struct ClientError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of failure it is.
    public enum Code: Sendable, Hashable {
        /// Nothing listens at the endpoint, or there is none.
        case unreachable
        /// The socket is there, but not for this user.
        case notPermitted
        /// The daemon answered with an HTTP status other than success.
        case refused(status: Int)
        /// An operation ended in failure.
        case operationFailed
        /// An operation was cancelled.
        case operationCancelled
        /// The connection broke, or what came over it was not what the protocol says.
        case broken
        /// What was given is not the address of a daemon.
        case invalidAddress
        /// The daemon shows another certificate than the one it is known by, or one that nobody vouches for.
        case notRecognised
    }

    /// The kind.
    public let code: Code
    /// What went wrong, for people.
    public let message: String

    /// A failure.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }

    /// Whether the daemon said that there is no such thing.
    public var isNotFound: Bool { code == .refused(status: 404) }

    /// Whether the daemon said that it does not trust this client.
    public var isForbidden: Bool { code == .refused(status: 403) }
}

extension ClientError {
    /// Why a unix socket could not be reached, and how to mend it.
    package static func socket(_ path: String, errno: Int32, reason: String) -> ClientError {
        let what = "cannot reach apusd at \(path): \(reason)."
        if errno == 13 || errno == 1 {
            return ClientError(
                .notPermitted,
                "\(what) Root and the members of the group apus may use it. "
                    + "Join with: usermod -aG apus USER, then log in again.")
        }
        let suffix = "/unix.socket"
        let folder = path.hasSuffix(suffix) ? String(path.dropLast(suffix.count)) : Endpoint.defaultDirectory
        let command =
            folder == Endpoint.defaultDirectory ? "systemctl start apusd" : "APUS_DIR=\(folder) apusd"
        return ClientError(.unreachable, "\(what) Is it running? Start it with: \(command)")
    }
}
