import Glibc

/// Where a daemon listens.
public enum Endpoint: Sendable, Equatable, CustomStringConvertible {
    /// A unix socket on this machine.
    case unixSocket(path: String)
    /// HTTPS, on any machine.
    case https(SecureAddress)

    /// The daemon of `APUS_DIR` (`/var/lib/apus` if that is not set).
    public static var local: Endpoint { .unixSocket(path: directory + "/unix.socket") }

    /// The directory of the daemon on this machine.
    public static var directory: String {
        guard let value = getenv("APUS_DIR").map({ String(cString: $0) }), !value.isEmpty else {
            return defaultDirectory
        }
        return value.count > 1 && value.hasSuffix("/") ? String(value.dropLast()) : value
    }

    /// The directory that a daemon uses when nobody says otherwise.
    public static let defaultDirectory = "/var/lib/apus"

    /// Who is at the other end, for messages.
    public var description: String {
        switch self {
        case .unixSocket: "apusd"
        case .https(let address): address.label
        }
    }
}
