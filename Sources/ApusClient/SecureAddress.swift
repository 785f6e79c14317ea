public import Certificates

/// A daemon that is reached by HTTPS: where it is, how it is known again, and who we are to it.
public struct SecureAddress: Sendable, Equatable {
    /// The port that LXD and Apus listen on when nobody says otherwise.
    public static let defaultPort = 8443

    /// The host's name, or its address without brackets.
    public let host: String
    /// The TCP port.
    public let port: Int
    /// The one certificate that the daemon may show, whoever signed it; nil for one that the system's authorities vouch
    /// for and that is made out to `host`.
    public var pinned: TLSCertificate?
    /// What we show; nil to stay unknown.
    public var identity: Identity?
    /// What its user calls the daemon, for messages.
    public var name: String?

    /// A host and a port.
    public init(host: String, port: Int, pinned: TLSCertificate? = nil, identity: Identity? = nil) {
        self.host = host
        self.port = port
        self.pinned = pinned
        self.identity = identity
    }

    /// Reads `https://host[:port]`, `host[:port]` or `[address]:port`. A path after it is of no interest.
    /// - Throws: `ClientError` with `invalidAddress`.
    public init(url: String, pinned: TLSCertificate? = nil, identity: Identity? = nil) throws {
        var rest = url[...]
        if let scheme = rest.range(of: "://") {
            guard rest[..<scheme.lowerBound] == "https" else { throw Self.invalid(url) }
            rest = rest[scheme.upperBound...]
        }
        rest = rest.prefix { $0 != "/" && $0 != "?" }
        let host: Substring
        var port: Substring?
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else { throw Self.invalid(url) }
            host = rest[rest.index(after: rest.startIndex)..<end]
            let tail = rest[rest.index(after: end)...]
            guard tail.isEmpty || tail.first == ":" else { throw Self.invalid(url) }
            if !tail.isEmpty { port = tail.dropFirst() }
        } else if rest.count(where: { $0 == ":" }) > 1 {
            host = rest
        } else {
            let parts = rest.split(separator: ":", omittingEmptySubsequences: false)
            host = parts.first ?? ""
            if parts.count > 1 { port = parts[1] }
        }
        let number = port.map { Int($0) } ?? Self.defaultPort
        guard let number, (1...65535).contains(number), !host.isEmpty,
            host.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != 0x40 })
        else { throw Self.invalid(url) }
        self.init(host: String(host), port: number, pinned: pinned, identity: identity)
    }

    /// The address as a URL.
    public var url: String { "https://\(host.contains(":") ? "[\(host)]" : host):\(port)" }

    /// Two are equal if they lead to the same daemon as the same client.
    public static func == (left: SecureAddress, right: SecureAddress) -> Bool {
        left.host == right.host && left.port == right.port && left.pinned == right.pinned
            && left.identity?.certificate == right.identity?.certificate
    }

    /// The daemon, for messages.
    var label: String { name.map { "\($0) (\(url))" } ?? url }

    private static func invalid(_ url: String) -> ClientError {
        ClientError(.invalidAddress, "\"\(url)\" is not the address of a daemon; write https://HOST:8443")
    }
}

extension Substring {
    /// Where another text stands in it first.
    fileprivate func range(of other: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(other) { return start..<index(start, offsetBy: other.count) }
            start = index(after: start)
        }
        return nil
    }
}
