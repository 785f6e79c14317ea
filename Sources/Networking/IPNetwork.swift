import LinuxSystem

/// An address and the network it is in, such as `10.0.3.1/24` or `fd42:1:2:3::1/64`.
public struct IPNetwork: Sendable, Hashable, CustomStringConvertible {
    /// The address, 4 or 16 bytes.
    public let bytes: [UInt8]
    /// How many bits of it are the network's.
    public let prefix: Int

    /// From the bytes of an address; nil if they are no address, or have fewer bits.
    public init?(_ bytes: [UInt8], prefix: Int) {
        guard bytes.count == 4 || bytes.count == 16, (0...(bytes.count * 8)).contains(prefix) else {
            return nil
        }
        self.bytes = bytes
        self.prefix = prefix
    }

    /// From `10.0.3.1/24`.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let bytes = IPText.bytes(String(parts[0])),
            let prefix = Int(parts[1])
        else { return nil }
        self.init(bytes, prefix: prefix)
    }

    /// Whether it is one of IPv6.
    public var isIPv6: Bool { bytes.count == 16 }
    /// The address alone.
    public var address: String { IPText.text(bytes) }
    /// `10.0.3.1/24`.
    public var description: String { "\(address)/\(prefix)" }
    /// The network's own address, as in `10.0.3.0/24`.
    public var network: String { "\(IPText.text(masked(bytes, prefix)))/\(prefix)" }

    /// Whether the address can be given to an interface: neither the network's nor the broadcast address.
    public var isHost: Bool {
        if isIPv6 { return prefix < 127 && masked(bytes, prefix) != bytes }
        guard prefix <= 30 else { return false }
        return masked(bytes, prefix) != bytes && last != bytes
    }

    /// Whether an address is in the network.
    public func contains(_ address: [UInt8]) -> Bool {
        address.count == bytes.count && masked(address, prefix) == masked(bytes, prefix)
    }

    /// Whether the two have an address in common.
    public func overlaps(_ other: IPNetwork) -> Bool {
        guard bytes.count == other.bytes.count else { return false }
        let common = min(prefix, other.prefix)
        return masked(bytes, common) == masked(other.bytes, common)
    }

    /// The last address, which is IPv4's broadcast address.
    public var last: [UInt8] {
        bytes.enumerated().map { index, byte in
            let kept = max(0, min(8, prefix - index * 8))
            return byte | (kept == 8 ? 0 : UInt8(0xff >> kept))
        }
    }

    /// The addresses to hand out: from the second to the last but one (IPv6: the first 64 bits' worth).
    public var range: (first: String, last: String) {
        var first = masked(bytes, prefix)
        first[first.count - 1] |= 2
        var end = last
        if !isIPv6 { end[end.count - 1] -= 1 }
        return (IPText.text(first), IPText.text(end))
    }

    private func masked(_ bytes: [UInt8], _ prefix: Int) -> [UInt8] {
        bytes.enumerated().map { index, byte in
            let kept = max(0, min(8, prefix - index * 8))
            return kept == 0 ? 0 : byte & UInt8(truncatingIfNeeded: 0xff << (8 - kept))
        }
    }

    // MARK: Networks in use

    /// The networks that this machine has addresses in or routes to; the default route does not count.
    public static func inUse(except link: Int32? = nil) throws -> [IPNetwork] {
        let control = AddressControl(try NetlinkSocket())
        let addresses = try control.addresses().filter { $0.index != link }.compactMap {
            IPNetwork($0.bytes, prefix: Int($0.prefix))
        }
        let local: UInt32 = 255
        let routes = try control.routes().compactMap { route -> IPNetwork? in
            guard route.table != local, route.index != link, route.prefix > 0 else { return nil }
            return IPNetwork(route.destination, prefix: Int(route.prefix))
        }
        return addresses + routes
    }

    /// A random 10.x.y.1/24 that nothing of `taken` overlaps; nil if none is found.
    public static func freeIPv4(_ taken: [IPNetwork]) -> IPNetwork? {
        for _ in 0..<1000 {
            let bytes: [UInt8] = [10, .random(in: 0...255), .random(in: 0...255), 1]
            if let found = IPNetwork(bytes, prefix: 24), !taken.contains(where: found.overlaps) {
                return found
            }
        }
        return nil
    }

    /// A random unique local fd42:x:y:z::1/64 that nothing of `taken` overlaps; nil if none is found.
    public static func freeIPv6(_ taken: [IPNetwork]) -> IPNetwork? {
        for _ in 0..<1000 {
            var bytes: [UInt8] = [0xfd, 0x42] + (0..<6).map { _ in .random(in: 0...255) }
            bytes += [0, 0, 0, 0, 0, 0, 0, 1]
            if let found = IPNetwork(bytes, prefix: 64), !taken.contains(where: found.overlaps) {
                return found
            }
        }
        return nil
    }
}
