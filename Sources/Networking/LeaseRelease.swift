import Glibc
import LinuxSystem

/// Gives an address back in the name of who has it (DHCPRELEASE, RFC 2131, 4.4.6): of an interface that is no more, and
/// will not do so itself.
enum LeaseRelease {
    /// What is sent.
    static func message(_ lease: DHCPServer.Lease, to server: [UInt8]) -> [UInt8]? {
        guard let address = IPText.bytes(lease.ip), address.count == 4, server.count == 4,
            let hardware = LinkAddress.bytes(lease.address)
        else { return nil }
        // A request of Ethernet, any number, `ciaddr`, `chaddr`, no names, then the options.
        var bytes: [UInt8] = [1, 1, 6, 0] + (0..<4).map { _ in .random(in: 0...255) }
        bytes += [0, 0, 0, 0] + address + [UInt8](repeating: 0, count: 12)
        bytes += hardware + [UInt8](repeating: 0, count: 10 + 192)
        bytes += [99, 130, 83, 99, 53, 1, 7, 54, 4] + server
        let client = lease.client.split(separator: ":").compactMap { UInt8($0, radix: 16) }
        if !client.isEmpty, client.count < 256 { bytes += [61, UInt8(client.count)] + client }
        return bytes + [255]
    }

    /// Sends it. Whether it arrives is of no consequence: the lease ends by itself, later.
    static func send(_ lease: DHCPServer.Lease, to server: [UInt8]) throws {
        guard let message = message(lease, to: server) else { return }
        let socket = FileDescriptor(
            owning: try check("socket", "give back \(lease.ip)") {
                Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            })
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = UInt16(67).bigEndian
        withUnsafeMutableBytes(of: &name.sin_addr) { $0.copyBytes(from: server) }
        _ = try withUnsafePointer(to: &name) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                try check("sendto", "give back \(lease.ip)") {
                    sendto(
                        socket.rawValue, message, message.count, 0, address,
                        socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
    }
}
