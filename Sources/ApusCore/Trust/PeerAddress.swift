import Glibc

/// Addresses of those at the other end.
public enum PeerAddress {
    /// What counts as one peer: an IPv4 address, or the 64 bits of an IPv6 address that its owner does not choose.
    public static func group(of address: String) -> String {
        var six = in6_addr()
        // A socket for both families shows IPv4 peers as ::ffff:a.b.c.d.
        if address.hasPrefix("::ffff:"), address.contains(".") { return String(address.dropFirst(7)) }
        guard inet_pton(AF_INET6, address, &six) == 1 else { return address }
        return withUnsafeBytes(of: six) { Array($0.prefix(8)) }.hex + "/64"
    }
}
