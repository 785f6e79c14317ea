import Glibc

/// What may come in through an interface: a table of nftables of its own, at the first place where the kernel looks at
/// its packets (linux/netfilter/nf_tables.h).
public struct ArrivalFilter: Sendable, Hashable {
    /// The table's name.
    public var table: String
    /// The interface.
    public var interface: String
    /// The only address of the sender that is let in, such as `00:16:3e:01:02:03`; nil for all.
    public var sender: String?
    /// The only IPv4 address of the sender that is let in, besides none; nil for all.
    public var senderIPv4: String?
    /// How many bytes come in in a second; a burst of a second's worth and 64 KiB is let in at once. Nil: no limit.
    public var bytesPerSecond: UInt64?

    /// A filter that lets everything in.
    public init(table: String, interface: String) {
        self.table = table
        self.interface = interface
    }

    /// The bytes that are let in at once beside those of a second.
    public static let burst: UInt32 = 65_536

    private static let netdev: UInt8 = 5
    private static let newTable: UInt16 = 0
    private static let getTable: UInt16 = 1
    private static let deleteTable: UInt16 = 2
    private static let newChain: UInt16 = 3
    private static let newRule: UInt16 = 6
    private static let chain = "arriving"

    /// Puts it in place of what the table was before.
    public func apply() throws {
        let create = NetlinkMessage.create
        var messages = [
            Self.message(Self.newTable, create) { $0.add(1, table) },
            Self.message(Self.deleteTable) { $0.add(1, table) },
            Self.message(Self.newTable, create) { $0.add(1, table) },
            Self.message(Self.newChain, create) { chain in
                chain.add(1, table)
                chain.add(3, Self.chain)
                chain.addNested(4 | Self.nested) { hook in
                    hook.addOrdered(1, UInt32(0))
                    hook.addOrdered(2, UInt32(0))
                    hook.add(3, interface)
                }
                let accept: UInt32 = 1
                chain.addOrdered(5, accept)
                chain.add(7, "filter")
            },
        ]
        messages += rules().map { rule in
            Self.message(Self.newRule, create | 0x800) { message in
                message.add(1, table)
                message.add(2, Self.chain)
                message.addNested(4 | Self.nested) { list in
                    for expression in rule { list.add(1 | Self.nested, expression.payload) }
                }
            }
        }
        try NetlinkSocket(.netfilter).performBatch(
            messages, "filter what comes in through \(interface) (nftables)")
    }

    /// Removes a table. One that is not there is no error.
    public static func remove(table: String) throws {
        do {
            try NetlinkSocket(.netfilter).performBatch(
                [message(deleteTable) { $0.add(1, table) }], "remove the table \(table) of nftables")
        } catch let error as SystemError where error.errno == ENOENT {
        }
    }

    /// The names of all tables of this kind.
    public static func tables() throws -> [String] {
        let question = message(getTable, NetlinkMessage.dump) { _ in }
        return try NetlinkSocket(.netfilter).ask(question, "list tables of nftables").compactMap { answer in
            NetlinkAttribute.parse(answer.payload.dropFirst(4)).first { $0.type == 1 }?.text
        }
    }

    // MARK: Rules

    private func rules() -> [[NetlinkMessage]] {
        var rules: [[NetlinkMessage]] = []
        if let bytes = sender.flatMap(LinkAddress.bytes) {
            rules.append([Self.load(base: 0, at: 6, count: 6), Self.unlike(bytes), Self.count, Self.drop])
        }
        if let bytes = senderIPv4.flatMap(IPText.bytes) {
            // Who asks for an address, or whether anybody has one, has none yet: 0.0.0.0.
            for (kind, place) in [([0x08, 0x00] as [UInt8], UInt32(12)), ([0x08, 0x06], 14)] {
                let load = Self.load(base: 1, at: place, count: 4)
                rules.append(
                    Self.ofKind(kind) + [
                        load, Self.unlike(bytes), Self.unlike([0, 0, 0, 0]), Self.count, Self.drop,
                    ])
            }
        }
        if let bytesPerSecond {
            rules.append([Self.over(bytesPerSecond), Self.count, Self.drop])
        }
        return rules
    }

    private static let nested: UInt16 = 0x8000
    private static let register: UInt32 = 1

    private static func message(
        _ type: UInt16, _ flags: UInt16 = 0, _ body: (inout NetlinkMessage) -> Void
    ) -> NetlinkMessage {
        let nftables: UInt16 = 10
        var message = NetlinkMessage(nftables << 8 | type, flags: flags, header: [netdev, 0, 0, 0])
        body(&message)
        return message
    }

    private static func expression(
        _ name: String, _ body: (inout NetlinkMessage) -> Void = { _ in }
    ) -> NetlinkMessage {
        var expression = NetlinkMessage(0, header: [])
        expression.add(1, name)
        expression.addNested(2 | nested, body)
        return expression
    }

    /// Reads bytes of the packet: counted from the link's header (0) or the network's (1).
    private static func load(base: UInt32, at offset: UInt32, count: UInt32) -> NetlinkMessage {
        expression("payload") { payload in
            for (type, value) in [(UInt16(1), register), (2, base), (3, offset), (4, count)] {
                payload.addOrdered(type, value)
            }
        }
    }

    /// Goes on only if what was read is not this.
    private static func unlike(_ bytes: [UInt8]) -> NetlinkMessage { compare(1, bytes) }

    private static func compare(_ operation: UInt32, _ bytes: [UInt8]) -> NetlinkMessage {
        expression("cmp") { comparison in
            comparison.addOrdered(1, register)
            comparison.addOrdered(2, operation)
            comparison.addNested(3 | nested) { $0.add(1, bytes) }
        }
    }

    /// Goes on only with packets of a protocol, such as 08 00 for IPv4.
    private static func ofKind(_ kind: [UInt8]) -> [NetlinkMessage] {
        let `protocol`: UInt32 = 1
        return [
            expression("meta") { meta in
                meta.addOrdered(1, register)
                meta.addOrdered(2, `protocol`)
            },
            compare(0, kind),
        ]
    }

    /// Goes on only with what is more than so many bytes in a second.
    private static func over(_ rate: UInt64) -> NetlinkMessage {
        expression("limit") { limit in
            limit.addOrdered(1, rate)
            limit.addOrdered(2, UInt64(1))
            limit.addOrdered(3, burst)
            let (bytes, inverted): (UInt32, UInt32) = (1, 1)
            limit.addOrdered(4, bytes)
            limit.addOrdered(5, inverted)
        }
    }

    private static var count: NetlinkMessage {
        expression("counter") { counter in
            counter.addOrdered(1, UInt64(0))
            counter.addOrdered(2, UInt64(0))
        }
    }

    private static var drop: NetlinkMessage {
        expression("immediate") { immediate in
            immediate.addOrdered(1, UInt32(0))
            immediate.addNested(2 | nested) { $0.addNested(2 | nested) { $0.addOrdered(1, UInt32(0)) } }
        }
    }
}
