import CLinux
import Glibc
import LinuxSystem

/// Tells a container's neighbours where its addresses are now: bridges and switches learn the way to its MAC address
/// from it, other machines the MAC address. A gratuitous ARP request for each address of IPv4 (RFC 5227), an unsolicited
/// neighbour advertisement for each of IPv6 (RFC 4861, 7.2.6).
struct AddressAnnouncement {
    /// What is sent out of one interface.
    struct Entry {
        let socket: FileDescriptor
        let frames: [[UInt8]]
    }

    /// One for each interface.
    let entries: [Entry]

    /// Prepares the announcement of the addresses in the network namespace this process is in, of the interfaces with
    /// these names. An interface whose address is not known is left out.
    /// - Parameter later: the address that an interface gets only when it is connected, by its name.
    init(of names: Set<String>, later: [String: String]) throws {
        let control = try LinkControl()
        let addresses = try AddressControl(control.socket).addresses()
        entries = try control.links().filter { names.contains($0.name) }.compactMap { link in
            guard let hardware = Self.hardware(later[link.name] ?? link.address) else { return nil }
            let frames = addresses.filter { $0.index == link.index }.compactMap {
                $0.isIPv6
                    ? AnnouncementFrame.neighbour($0.bytes, hardware)
                    : AnnouncementFrame.arp($0.bytes, hardware)
            }
            guard !frames.isEmpty else { return nil }
            let socket = try check("socket", "announce the addresses of \(link.name)") {
                apus_frame_socket(link.index)
            }
            return Entry(socket: FileDescriptor(owning: socket), frames: frames)
        }
    }

    /// An announcement that another program has prepared.
    init(_ entries: [Entry]) { self.entries = entries }

    /// Sends everything once. What cannot be sent is of no consequence: it is said again, and neighbours find out by
    /// themselves after a while.
    func send() {
        for entry in entries {
            for frame in entry.frames { try? entry.socket.send(frame, wait: false) }
        }
    }

    /// `00:16:3e:…` as bytes.
    private static func hardware(_ text: String) -> [UInt8]? {
        let bytes = text.split(separator: ":").compactMap { UInt8($0, radix: 16) }
        return bytes.count == 6 && bytes != [0, 0, 0, 0, 0, 0] ? bytes : nil
    }
}

/// The frames of an announcement.
package enum AnnouncementFrame {
    /// A gratuitous ARP request: who has the address is asked by the one who has it.
    package static func arp(_ address: [UInt8], _ hardware: [UInt8]) -> [UInt8]? {
        guard address.count == 4, hardware.count == 6 else { return nil }
        let everybody = [UInt8](repeating: 0xff, count: 6)
        // Ethernet, IPv4, sizes 6 and 4, request.
        let kind: [UInt8] = [0, 1, 8, 0, 6, 4, 0, 1]
        let nobody = [UInt8](repeating: 0, count: 6)
        return everybody + hardware + [0x08, 0x06] + kind + hardware + address + nobody + address
    }

    /// An unsolicited neighbour advertisement to all nodes, which is to replace what they know.
    package static func neighbour(_ address: [UInt8], _ hardware: [UInt8]) -> [UInt8]? {
        guard address.count == 16, hardware.count == 6 else { return nil }
        let allNodes: [UInt8] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        // Type 136, the flag "override", the address, and the option with its link-layer address.
        var message: [UInt8] = [136, 0, 0, 0, 0x20, 0, 0, 0] + address + [2, 1] + hardware
        let length = UInt8(message.count)
        let sum = checksum(address + allNodes + [0, 0, 0, length, 0, 0, 0, 58] + message)
        message[2] = UInt8(sum >> 8)
        message[3] = UInt8(sum & 0xff)
        // A hop limit of 255 proves that it comes from this link.
        let header: [UInt8] = [0x60, 0, 0, 0, 0, length, 58, 255] + address + allNodes
        return [0x33, 0x33, 0, 0, 0, 1] + hardware + [0x86, 0xdd] + header + message
    }

    /// The Internet checksum (RFC 1071) of an even number of bytes.
    private static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum = stride(from: 0, to: bytes.count - 1, by: 2).reduce(UInt32(0)) {
            $0 + (UInt32(bytes[$1]) << 8 | UInt32(bytes[$1 + 1]))
        }
        while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
        return ~UInt16(sum)
    }
}
