import Glibc

/// Where the daemon listens on the network: the value of `core.https_address`.
public struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// The port where none is given.
    public static let defaultPort = 8443

    /// An IPv4 or IPv6 address; empty for all of the machine.
    public let host: String
    /// The TCP port.
    public let port: Int

    /// Reads ":8443", "10.0.0.1", "10.0.0.1:8443", "[::]:8443" or "::1"; nil if it is none of these.
    public init?(_ text: String) {
        var host = Substring(text)
        var port: Substring?
        if host.hasPrefix("[") {
            guard let end = host.firstIndex(of: "]") else { return nil }
            let rest = host[host.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            port = rest.isEmpty ? nil : rest.dropFirst()
            host = host[host.index(after: host.startIndex)..<end]
            guard Self.isAddress(host, AF_INET6) else { return nil }
        } else if let colon = host.firstIndex(of: ":"), !host[host.index(after: colon)...].contains(":") {
            port = host[host.index(after: colon)...]
            host = host[..<colon]
            guard host.isEmpty || Self.isAddress(host, AF_INET) else { return nil }
        } else {
            guard Self.isAddress(host, AF_INET) || Self.isAddress(host, AF_INET6) else { return nil }
        }
        let number = port.map { $0.utf8.allSatisfy { (48...57).contains($0) } ? Int($0) : nil }
        switch number {
        case nil: self.port = Self.defaultPort
        case .some(let number?) where (1...65_535).contains(number): self.port = number
        default: return nil
        }
        self.host = String(host)
    }

    /// "10.0.0.1:8443", "[::1]:8443", ":8443".
    public var description: String { Self.joined(host, port) }

    /// Whether it stands for every address of the machine.
    public var isWildcard: Bool { ["", "0.0.0.0", "::"].contains(host) }

    /// The addresses others can use, each "host:port": those of the machine's interfaces if it listens on all of
    /// them; those of the loopback interface only where there are no others.
    public func reachable() -> [String] {
        guard isWildcard else { return [description] }
        let addresses = InterfaceAddresses.all().filter { host != "0.0.0.0" || !$0.text.contains(":") }
        let outward = addresses.filter { !$0.isLoopback }
        return (outward.isEmpty ? addresses : outward).map { Self.joined($0.text, port) }
    }

    private static func joined(_ host: String, _ port: Int) -> String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    private static func isAddress(_ text: Substring, _ family: Int32) -> Bool {
        var room = in6_addr()
        return inet_pton(family, String(text), &room) == 1
    }
}

/// The addresses of the machine's interfaces.
enum InterfaceAddresses {
    struct Address: Sendable {
        let text: String
        let isLoopback: Bool
    }

    /// All IPv4 and IPv6 addresses of interfaces that are up, but those that are good on one link only.
    static func all() -> [Address] {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        var found: [Address] = []
        var next = first
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard entry.ifa_flags & UInt32(IFF_UP) != 0, let address = entry.ifa_addr else {
                continue
            }
            let loopback = entry.ifa_flags & UInt32(IFF_LOOPBACK) != 0
            guard let text = numeric(address), !text.hasPrefix("fe80:"), !text.contains("%") else { continue }
            found.append(Address(text: text, isLoopback: loopback))
        }
        return found
    }

    private static func numeric(_ address: UnsafeMutablePointer<sockaddr>) -> String? {
        let length: Int
        switch Int32(address.pointee.sa_family) {
        case AF_INET: length = MemoryLayout<sockaddr_in>.size
        case AF_INET6: length = MemoryLayout<sockaddr_in6>.size
        default: return nil
        }
        var room = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        guard
            getnameinfo(
                address, socklen_t(length), &room, socklen_t(room.count), nil, 0, NI_NUMERICHOST) == 0
        else { return nil }
        return String(decoding: room.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
