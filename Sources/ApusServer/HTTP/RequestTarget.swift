import ApusCore
import Certificates

/// What the first line of a request says, once its route is found.
struct RequestTarget: Sendable {
    /// The parts of the path that the route names.
    let parameters: [String: String]
    /// The query's parts.
    let query: [String: String]
    /// "instances" or "containers": what the client calls them, for the URLs in replies.
    let collection: String

    /// A named part of the path.
    func path(_ name: String) throws(ServiceError) -> String {
        guard let value = parameters[name] else { throw ServiceError.badRequest("The path has no \(name)") }
        return value
    }
}

/// Who sent a request.
struct Requester: Sendable {
    /// How far the client is trusted.
    let access: Access
    /// The certificate whose key it holds, if it has shown one.
    let certificate: TLSCertificate?
    /// Where it is; nil for the unix socket.
    let address: String?

    /// Whether it may do everything.
    var isTrusted: Bool { access >= .trusted }

    /// The one at the other end of a connection, as far as it is trusted now.
    init(_ connection: ClientConnection) {
        access = connection.access
        certificate = connection.certificate
        address = connection.address
    }
}
