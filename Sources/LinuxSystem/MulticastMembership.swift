import CLinux
import Glibc

/// That a socket receives what is sent to a multicast group on an interface (ip(7), ipv6(7)).
public struct MulticastMembership: Sendable, Hashable, Codable {
    /// The name of the interface.
    public var interface: String
    /// The group's address: 4 bytes, or 16.
    public var group: [UInt8]
    /// MCAST_EXCLUDE (0): from all but the sources; MCAST_INCLUDE (1): from the sources alone.
    public var mode: UInt32
    /// Addresses of senders, each as long as the group's.
    public var sources: [[UInt8]]

    /// Makes a membership.
    public init(interface: String, group: [UInt8], mode: UInt32 = 0, sources: [[UInt8]] = []) {
        self.interface = interface
        self.group = group
        self.mode = mode
        self.sources = sources
    }

    /// A group that some socket of a network namespace is a member of.
    public struct Group: Sendable, Hashable {
        /// The interface's number.
        public var index: UInt32
        /// The interface's name.
        public var interface: String
        /// The group's address: 4 bytes, or 16.
        public var address: [UInt8]

        /// Names a group.
        public init(index: UInt32, interface: String, address: [UInt8]) {
            self.index = index
            self.interface = interface
            self.address = address
        }
    }

    /// The most sources of one membership that are kept; `net.ipv4.igmp_max_msf` is 10 on most machines.
    private static let mostSources = 64

    /// The membership of a socket in a group; nil if it is no member, or no socket of that family.
    public static func of(_ socket: FileDescriptor, in group: Group) -> MulticastMembership? {
        let length = group.address.count
        var mode: UInt32 = 0
        var sources = [UInt8](repeating: 0, count: mostSources * length)
        let count = apus_multicast_filter(
            socket.rawValue, group.address, length, group.index, &mode, &sources, UInt32(mostSources))
        guard count >= 0 else { return nil }
        return MulticastMembership(
            interface: group.interface, group: group.address, mode: mode,
            sources: (0..<Int(count)).map { Array(sources[$0 * length..<($0 + 1) * length]) })
    }

    /// Makes a socket a member again.
    /// - Parameter index: the interface's number in the socket's network namespace.
    public func join(_ socket: FileDescriptor, index: UInt32) throws {
        try check("setsockopt MCAST_JOIN_GROUP", "join a multicast group on \(interface)") {
            apus_multicast_join(
                socket.rawValue, group, group.count, index, mode, sources.flatMap { $0 },
                UInt32(sources.count))
        }
    }

    /// The groups of a process's network namespace, but for those that every interface is in.
    public static func groups(ofProcess pid: Int32) -> [Group] {
        parse(igmp: (try? Files.text("/proc/\(pid)/net/igmp")) ?? "")
            + parse(igmp6: (try? Files.text("/proc/\(pid)/net/igmp6")) ?? "")
    }

    /// The numbers of a process's interfaces by name, as far as they take part in multicast.
    public static func interfaces(ofProcess pid: Int32) -> [String: UInt32] {
        var result: [String: UInt32] = [:]
        for file in ["igmp", "igmp6"] {
            for line in ((try? Files.text("/proc/\(pid)/net/\(file)")) ?? "").split(separator: "\n") {
                let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == ":" })
                if words.count > 3, line.first?.isNumber == true, let index = UInt32(words[0]) {
                    result[String(words[1])] = index
                }
            }
        }
        return result
    }

    /// Parses `/proc/net/igmp`: a line for each interface, below it one for each group.
    package static func parse(igmp text: String) -> [Group] {
        var result: [Group] = []
        var interface: (index: UInt32, name: String)?
        for line in text.split(separator: "\n").dropFirst() {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == ":" })
            if line.first?.isNumber == true, words.count > 1, let index = UInt32(words[0]) {
                interface = (index, String(words[1]))
            } else if let interface, let word = words.first, let number = UInt32(word, radix: 16) {
                // Printed as this machine's number, but in the network's order.
                let bytes = withUnsafeBytes(of: number) { Array($0) }
                guard bytes != [224, 0, 0, 1] else { continue }
                result.append(Group(index: interface.index, interface: interface.name, address: bytes))
            }
        }
        return result
    }

    /// Parses `/proc/net/igmp6`: `2  eth0  ff02…  users …`.
    package static func parse(igmp6 text: String) -> [Group] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count > 2, let index = UInt32(words[0]), words[2].utf8.count == 32 else { return nil }
            let digits = Array(words[2])
            let address = stride(from: 0, to: 32, by: 2).compactMap {
                UInt8(String(digits[$0...$0 + 1]), radix: 16)
            }
            // All nodes of the machine and of the link, and what goes with each address of the interface.
            let all = String(words[2])
            guard address.count == 16, all != "ff020000000000000000000000000001",
                all != "ff010000000000000000000000000001", !all.hasPrefix("ff0200000000000000000001ff")
            else { return nil }
            return Group(index: index, interface: String(words[1]), address: address)
        }
    }
}
