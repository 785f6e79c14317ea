import Certificates
import Glibc
import NIOCore
import NIOPosix
import NIOSSL

extension ClientError {
    /// Why a daemon could not be reached by HTTPS, and what to look at.
    static func secure(_ address: SecureAddress, stranger: [UInt8]?, _ error: any Error) -> ClientError {
        if let error = error as? ClientError { return error }
        if let stranger { return changed(address, shown: stranger) }
        switch error {
        case let error as NIOConnectionError:
            return unreachable(address, reason(error))
        case let error as IOError:
            return unreachable(address, Transport.reason(error.errnoCode))
        case ChannelError.connectTimeout:
            return unreachable(address, "there is no answer")
        case let error as NIOSSLError where error.isFailedHandshake && "\(error)".contains("VERIFY_FAILED"):
            return ClientError(
                .notRecognised,
                "no authority of this machine vouches for the certificate of \(address.url); "
                    + "a daemon with a certificate of its own has to be added first: apus remote add NAME \(address.url)"
            )
        case is NIOSSLError, is BoringSSLError, ChannelError.eof, is NIOSSLExtraError:
            return unreachable(address, "what listens there does not speak TLS 1.3 (\(error))")
        default:
            return unreachable(address, "\(error)")
        }
    }

    private static func changed(_ address: SecureAddress, shown: [UInt8]) -> ClientError {
        let known = address.pinned?.fingerprint ?? ""
        let now = (try? TLSCertificate(der: shown))?.fingerprint ?? "one that cannot be read"
        return ClientError(
            .notRecognised,
            "the certificate of \(address.label) has changed: its fingerprint is \(now), but \(known) is known. "
                + "Nothing was sent. Either its daemon was set up anew, or somebody is in between. If it was, compare "
                + "the fingerprint there and add it again: apus remote remove \(address.name ?? "NAME")")
    }

    /// What a daemon's "not authorized" means.
    static func untrusted(by address: SecureAddress) -> ClientError {
        ClientError(
            .refused(status: 403),
            "\(address.label) does not trust this client (not authorized). Have a token made there with: "
                + "apus config trust add NAME, then here: apus remote remove \(address.name ?? "NAME"), and: "
                + "apus remote add \(address.name ?? "NAME") TOKEN")
    }

    private static func unreachable(_ address: SecureAddress, _ reason: String) -> ClientError {
        ClientError(.unreachable, "cannot reach \(address.label): \(reason)")
    }

    /// The first thing that went wrong when all addresses of a host had been tried.
    private static func reason(_ error: NIOConnectionError) -> String {
        switch error.connectionErrors.first?.error {
        case let failure as IOError where failure.errnoCode == ECONNREFUSED:
            "nobody listens there. Does its daemon do so? There: apus config set core.https_address :\(error.port)"
        case let failure as IOError: Transport.reason(failure.errnoCode)
        case ChannelError.connectTimeout?: "there is no answer"
        case let failure?: "\(failure)"
        case nil: "no address is known of \"\(error.host)\""
        }
    }
}

extension NIOSSLError {
    fileprivate var isFailedHandshake: Bool { if case .handshakeFailed = self { true } else { false } }
}
