import ApusAPI
import ApusCore
import HTTPTypes
import HummingbirdCore

/// Trusted clients.
struct TrustRoutes {
    let daemon: Daemon
    private var trust: TrustService { daemon.trust }

    var routes: [Route] {
        [
            Route(.get, "/1.0/certificates", "All clients that are trusted") { request in
                let list = trust.list()
                guard request.recursion == 0 else { return try Reply.sync(list) }
                return try Reply.sync(list.map { "/1.0/certificates/\($0.fingerprint)" })
            },
            Route(
                .post, "/1.0/certificates",
                "Trust a client, or make a token with which one can add itself; a stranger adds itself by token or password",
                access: .anyone, handler: add),
            Route(.get, "/1.0/certificates/{fingerprint}", "A client that is trusted") { request in
                let fingerprint = try request.path("fingerprint")
                return try Reply.sync(try trust.get(fingerprint), etag: try trust.etag(fingerprint))
            },
            Route(.put, "/1.0/certificates/{fingerprint}", "Name a client anew") { request in
                try trust.update(
                    try request.path("fingerprint"), try await request.json(CertificatePut.self),
                    ifMatch: request.ifMatch)
                return try Reply.done()
            },
            Route(.patch, "/1.0/certificates/{fingerprint}", "Name a client anew") { request in
                try trust.patch(
                    try request.path("fingerprint"), try await request.json(CertificatePatch.self),
                    ifMatch: request.ifMatch)
                return try Reply.done()
            },
            Route(
                .delete, "/1.0/certificates/{fingerprint}",
                "Trust a client no longer; its connections end at once"
            ) { request in
                try trust.remove(try request.path("fingerprint"))
                return try Reply.done()
            },
        ]
    }

    private func add(_ request: APIRequest) async throws -> HTTPReply {
        let post = try await request.json(CertificatesPost.self)
        let requester = request.requester
        guard requester.isTrusted else {
            let fingerprint = try await trust.join(
                post, with: requester.certificate, from: requester.address ?? "")
            return try Reply.created("/1.0/certificates/\(fingerprint)")
        }
        switch try trust.add(post, by: requester.certificate) {
        case .certificate(let fingerprint): return try Reply.created("/1.0/certificates/\(fingerprint)")
        case .token(let operation): return try Reply.operation(operation)
        }
    }
}
