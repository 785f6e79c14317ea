internal import FoundationEssentials
internal import LinuxSystem
internal import SwiftProtobuf

extension SavedReader {
    /// Every socket, in the order of those who have them.
    mutating func sockets(
        _ table: FileTable, _ holders: [UInt32: [Int32]]
    ) throws(CRIUError) -> [CRIUSavedState.Socket] {
        // The other end of most connections has no name: then it is whoever has it.
        var names: [UInt32: String] = [:]
        for (id, file) in table.files where file.hasUnix {
            let name = unixName(file.unix)
            names[file.unix.inode] =
                name.isEmpty ? holders[id]?.first.map { "process \($0)" } ?? "" : name
        }
        var result: [CRIUSavedState.Socket] = []
        for (id, file) in table.files.sorted(by: { $0.key < $1.key }) {
            let pids = holders[id] ?? []
            let socket: CRIUSavedState.Socket
            if file.hasInet {
                socket = try inet(file.inet, pids)
            } else if file.hasUnix {
                socket = unix(file.unix, pids, peer: names[file.unix.peer] ?? "")
            } else if file.hasNetlink {
                socket = plain("netlink", "protocol \(file.netlink.protocol)", pids)
            } else if file.hasPacket {
                socket = plain("packet", type(file.packet.type), pids)
            } else {
                continue
            }
            try add(1 + pids.count, "the sockets")
            result.append(socket)
        }
        return result.enumerated().sorted {
            ($0.element.pids.first ?? .max, $0.offset) < ($1.element.pids.first ?? .max, $1.offset)
        }.map(\.element)
    }

    private mutating func inet(_ saved: criu_saved_inet, _ pids: [Int32]) throws(CRIUError)
        -> CRIUSavedState.Socket
    {
        let isTCP = saved.type == 1 && (saved.protocol == 6 || saved.protocol == 0)
        var socket = CRIUSavedState.Socket(
            pids: pids, kind: kind(saved, isTCP: isTCP), type: type(saved.type),
            state: isTCP ? Self.state(saved.state) : saved.state == 1 ? "ESTABLISHED" : "UNCONNECTED",
            local: try address(saved.source, saved.sourcePort, saved.family),
            remote: try address(saved.target, saved.targetPort, saved.family), unread: 0, unsent: 0)
        if socket.state == "LISTEN" || socket.state == "UNCONNECTED" || socket.state == "CLOSE" {
            socket.remote = ""
        }
        let name = "tcp-stream-\(String(saved.inode, radix: 16)).img"
        if isTCP, let (image, bytes) = try images.entry(name, .stream) {
            let stream: criu_saved_stream = try image.decode(bytes)
            socket.unread = stream.received
            socket.unsent = stream.sent
        }
        return socket
    }

    private func kind(_ saved: criu_saved_inet, isTCP: Bool) -> String {
        let name: String
        switch saved.protocol {
        case _ where isTCP: name = "tcp"
        case 1, 58: name = "icmp"
        case 17: name = "udp"
        case 0 where saved.type == 2: name = "udp"
        case 136: name = "udplite"
        default: name = "protocol \(saved.protocol)"
        }
        return saved.family == Self.familyIPv6 ? name + "6" : name
    }

    /// The words of addresses are as the network has them; nothing stands for an address is `*`.
    private func address(_ words: [UInt32], _ port: UInt32, _ family: UInt32) throws(CRIUError) -> String {
        let count = family == Self.familyIPv6 ? 4 : 1
        guard words.count >= count, port <= UInt32(UInt16.max) else {
            throw CRIUError(.badImage, "files.img: a socket has no such address")
        }
        let bytes = words.prefix(count).flatMap { word in
            (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(8 * $0)) }
        }
        let host = bytes.allSatisfy { $0 == 0 } ? "*" : IPText.text(bytes)
        let name = count == 4 && host != "*" ? "[\(host)]" : host
        return "\(name):\(port == 0 ? "*" : String(port))"
    }

    private func unix(_ saved: criu_saved_unix, _ pids: [Int32], peer: String) -> CRIUSavedState.Socket {
        // CRIU keeps no state of sockets without connections: all of those say that they have one.
        let state = saved.state == 10 ? "LISTEN" : saved.peer != 0 ? "ESTABLISHED" : "UNCONNECTED"
        return CRIUSavedState.Socket(
            pids: pids, kind: "unix", type: type(saved.type), state: state, local: unixName(saved),
            remote: peer, unread: 0, unsent: 0)
    }

    /// A name without a file begins with a zero byte, which is shown as `@`; one of a file ends with one.
    private func unixName(_ saved: criu_saved_unix) -> String {
        guard let first = saved.name.first else { return "" }
        if first == 0 { return "@" + text(saved.name.dropFirst()) }
        let name = text(saved.name.prefix { $0 != 0 })
        return saved.hasFolder && first != UInt8(ascii: "/") ? text(saved.folder) + "/" + name : name
    }

    private func plain(_ kind: String, _ type: String, _ pids: [Int32]) -> CRIUSavedState.Socket {
        CRIUSavedState.Socket(
            pids: pids, kind: kind, type: type, state: "", local: "", remote: "", unread: 0, unsent: 0)
    }

    private func type(_ saved: UInt32) -> String {
        switch saved {
        case 1: "stream"
        case 2: "datagram"
        case 3: "raw"
        case 5: "seqpacket"
        default: "type \(saved)"
        }
    }

    private static let familyIPv6: UInt32 = 10

    /// The states of TCP, by their numbers.
    private static let states = [
        "", "ESTABLISHED", "SYN-SENT", "SYN-RECEIVED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSE",
        "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING",
    ]

    private static func state(_ saved: UInt32) -> String {
        guard let number = Int(exactly: saved), states.indices.contains(number), number > 0 else {
            return "state \(saved)"
        }
        return states[number]
    }
}
