import Foundation
import Glibc

/// A host's API on the network, at a port of the loopback interface, as curl and openssl see it.
final class NetworkPort {
    let host: TestHost
    private(set) var port: Int
    let folder: String

    /// Has the daemon of a host listen.
    init(_ host: TestHost) throws {
        self.host = host
        port = try Self.freePort()
        folder = "\((host.folder as NSString).deletingLastPathComponent)/network-\(port)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try host.apus("config", "set", "core.https_address", address)
    }

    var address: String { "127.0.0.1:\(port)" }

    /// Has it listen no longer, and forgets everybody who was trusted.
    func close() {
        for key in ["core.https_address", "core.trust_password", "core.remote_token_expiry"] {
            _ = try? host.apus("config", "unset", key, expecting: nil)
        }
        for certificate in (try? host.query("/1.0/certificates").array) ?? [] {
            guard let fingerprint = certificate.string?.split(separator: "/").last else { continue }
            _ = try? host.apus("config", "trust", "remove", String(fingerprint), expecting: nil)
        }
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// A port nobody listens at.
    static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { Glibc.close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard result else { throw Trouble("no port is free") }
        return Int(in_port_t(bigEndian: address.sin_port))
    }

    /// A client with a certificate of its own, made by openssl.
    func client(_ name: String) throws -> NetworkClient {
        let client = NetworkClient(port: self, base: "\(folder)/\(name)")
        try must([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes",
            "-days",
            "2", "-subj", "/CN=\(name)", "-keyout", client.key, "-out", client.certificate,
        ])
        return client
    }

    /// A client without a certificate.
    var stranger: NetworkClient { NetworkClient(port: self, base: nil) }
}

/// A client of a host's port.
struct NetworkClient {
    let port: NetworkPort
    let base: String?

    var key: String { (base ?? "") + ".key" }
    var certificate: String { (base ?? "") + ".crt" }

    /// SHA-256 of the certificate, as openssl says.
    var fingerprint: String {
        get throws {
            try must(["openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"]).text
                .split(separator: "=").last.map { $0.replacing(":", with: "").lowercased() } ?? ""
        }
    }

    /// Sends a request by curl; status 0 if there was no answer.
    func request(_ method: String, _ path: String, _ body: String? = nil, _ more: String...) throws -> (
        status: Int, text: String
    ) {
        var arguments = [
            "curl", "--silent", "--insecure", "--max-time", "30", "--request", method, "--write-out",
            "\n%{http_code}",
        ]
        if base != nil { arguments += ["--cert", certificate, "--key", key] }
        if let body { arguments += ["--data", body] }
        let text = try run(arguments + more + ["https://\(port.address)\(path)"]).text
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return (Int(lines.last ?? "") ?? 0, lines.dropLast().joined(separator: "\n"))
    }

    /// Asks to be trusted, by a password or a token.
    func join(_ password: String) throws -> (status: Int, text: String) {
        try request("POST", "/1.0/certificates", #"{"type":"client","password":"\#(password)"}"#)
    }

    /// Whether the daemon trusts it.
    var isTrusted: Bool {
        get throws {
            try JSON(try request("GET", "/1.0").text)["metadata"]["auth"].string == "trusted"
        }
    }

    /// A connection by openssl that stays open, with `text` sent over it.
    func open(_ text: String, _ more: String...) throws -> Program {
        var arguments = ["openssl", "s_client", "-connect", port.address, "-quiet", "-no_ign_eof"]
        if base != nil { arguments += ["-cert", certificate, "-key", key] }
        let program = try Program(arguments + more, input: .open)
        program.keepsInputOpen = true
        program.write(text)
        return program
    }
}
