import Glibc

/// The queues through which packets leave interfaces (tc-tbf(8), linux/pkt_sched.h).
public struct TrafficControl: Sendable {
    private let socket: NetlinkSocket

    /// For the namespace of this thread, or another one.
    public init(in namespace: FileDescriptor? = nil) throws {
        socket = try NetlinkSocket(.route, in: namespace)
    }

    private static let new: UInt16 = 36
    private static let delete: UInt16 = 37
    private static let get: UInt16 = 38

    /// struct tcmsg; the parent is the interface itself.
    private static func header(_ index: Int32) -> [UInt8] {
        [0, 0, 0, 0] + NetlinkBytes.of(index) + NetlinkBytes.of(UInt32(0)) + NetlinkBytes.of(UInt32.max)
            + NetlinkBytes.of(UInt32(0))
    }

    /// What leaves an interface at most, in bits per second: a token bucket that lets bursts of ten milliseconds (64 KiB
    /// at least) pass, and keeps what comes in a tenth of a second waiting.
    public func limit(_ index: Int32, to rate: UInt64, _ name: String) throws {
        let bytes = max(rate / 8, 1)
        let burst = UInt32(clamping: max(bytes / 100, Self.leastBurst))
        let queue = UInt32(clamping: max(bytes / 10, 4 * Self.leastBurst))
        // struct tc_ratespec: TC_LINKLAYER_ETHERNET, so that the kernel needs no table of rates from us.
        let rates = [0, 1, 0, 0, 0, 0, 0, 0] + NetlinkBytes.of(UInt32(clamping: bytes))
        let parameters =
            rates + [UInt8](repeating: 0, count: 12) + NetlinkBytes.of(queue) + NetlinkBytes.of(UInt32(0))
            + NetlinkBytes.of(UInt32(0))
        try replace(index, "tbf", "limit what leaves \(name)") { options in
            options.add(1, parameters)
            options.add(6, NetlinkBytes.of(burst))
            if bytes > UInt64(UInt32.max) { options.add(4, NetlinkBytes.of(bytes)) }
        }
    }

    /// The least burst that is let through, in bytes: one packet as big as the kernel hands them over.
    public static let leastBurst: UInt64 = 65_536

    /// Drops everything that would leave an interface.
    public func dropAll(_ index: Int32, _ name: String) throws {
        try replace(index, "blackhole", "hold back what leaves \(name)")
    }

    /// Lets everything leave an interface again. One that was not limited is no error.
    public func letAll(_ index: Int32, _ name: String) throws {
        do {
            try socket.perform(
                NetlinkMessage(Self.delete, header: Self.header(index)), "let everything leave \(name)")
        } catch let error as SystemError where [ENOENT, EINVAL].contains(error.errno) {
            // EINVAL: only the kernel's own default is there.
        }
    }

    private func replace(
        _ index: Int32, _ kind: String, _ what: String, _ options: ((inout NetlinkMessage) -> Void)? = nil
    ) throws {
        var message = NetlinkMessage(
            Self.new, flags: NetlinkMessage.create | NetlinkMessage.replace, header: Self.header(index))
        message.add(1, kind)
        if let options { message.addNested(2, options) }
        try socket.perform(message, what)
    }

    /// A queue, as the kernel describes it.
    public struct Queue: Sendable, Hashable {
        /// `tbf`, `noqueue` …
        public var kind = ""
        /// What went through it.
        public var bytes: UInt64 = 0
        /// How many packets were dropped.
        public var dropped: UInt32 = 0
        /// How often a packet had to wait.
        public var overlimits: UInt32 = 0
    }

    /// The queue through which everything leaves an interface; nil if it has none.
    public func queue(_ index: Int32) throws -> Queue? {
        var header = Self.header(index)
        header.replaceSubrange(12..<16, with: [0, 0, 0, 0])
        let all = try socket.ask(
            NetlinkMessage(Self.get, flags: NetlinkMessage.dump, header: header), "look at the queues")
        for message in all where (NetlinkBytes.read(message.payload, 4) as Int32) == index {
            guard (NetlinkBytes.read(message.payload, 12) as UInt32) == UInt32.max else { continue }
            var queue = Queue()
            for attribute in NetlinkAttribute.parse(message.payload.dropFirst(20)) {
                switch attribute.type {
                case 1: queue.kind = attribute.text
                case 7:  // TCA_STATS2
                    for part in NetlinkAttribute.parse(attribute.value) {
                        if part.type == 1 { queue.bytes = NetlinkBytes.read(part.value, 0) }
                        if part.type == 3 {
                            queue.dropped = NetlinkBytes.read(part.value, 8)
                            queue.overlimits = NetlinkBytes.read(part.value, 16)
                        }
                    }
                default: break
                }
            }
            return queue
        }
        return nil
    }
}
