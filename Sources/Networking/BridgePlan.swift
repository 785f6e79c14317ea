/// Everything about a managed bridge: what its interface, packet filter and DHCP server are made from.
public struct BridgePlan: Sendable, Hashable {
    /// The interface's name.
    public var name: String
    /// The interface's address.
    public var address: String
    /// The most bytes a packet can have; nil for the kernel's choice.
    public var mtu: UInt32?
    /// Its IPv4 address and network.
    public var ipv4: IPNetwork?
    /// Its IPv6 address and network.
    public var ipv6: IPNetwork?
    /// Whether what leaves the machine gets the machine's own address.
    public var ipv4NAT = false
    /// Whether what leaves the machine gets the machine's own address.
    public var ipv6NAT = false
    /// Whether addresses are handed out.
    public var ipv4DHCP = true
    /// Whether addresses are announced, or handed out.
    public var ipv6DHCP = true
    /// Whether IPv6 addresses are handed out one by one rather than chosen by the containers.
    public var ipv6Stateful = false
    /// The range handed out, `10.0.3.50-10.0.3.99`; nil for all.
    public var ipv4Ranges: String?
    /// Whether the machine forwards packets.
    public var ipv4Routing = true
    /// Whether the machine forwards packets.
    public var ipv6Routing = true
    /// Whether our packet filter lets DHCP, DNS and forwarding through.
    public var ipv4Firewall = true
    /// Whether our packet filter lets DHCP, DNS and forwarding through.
    public var ipv6Firewall = true
    /// The domain of the containers' names.
    public var domain = "apus"
    /// `managed`: names are the containers'; `dynamic`: what they call themselves; `none`: there is no DNS.
    public var dnsMode = "managed"
    /// The ranges of IPv6 handed out one by one; nil for all.
    public var ipv6Ranges: String?
    /// How long an IPv4 address is lent: `1h`.
    public var leaseTime = "1h"
    /// How long an IPv6 address is lent: `1h`.
    public var ipv6LeaseTime = "1h"
    /// More networks that are routed to the bridge.
    public var routes: [IPNetwork] = []
    /// Interfaces of the machine that are ports of the bridge.
    public var externalInterfaces: [String] = []
    /// More lines for the DHCP server's configuration.
    public var rawDnsmasq = ""
    /// Tunnels to other hosts that are ports of the bridge.
    public var tunnels: [Tunnel] = []

    /// A tunnel to another host, or to all that are in a multicast group.
    public struct Tunnel: Sendable, Hashable {
        /// The name of its interface.
        public var interface: String
        /// The number of the virtual network.
        public var number: UInt32 = 1
        /// The other host or the group.
        public var remote: String
        /// This host's address.
        public var local: String?
        /// The port.
        public var port: UInt16?
        /// The interface that it goes through; nil for that of the default route.
        public var through: String?

        /// A tunnel.
        public init(interface: String, remote: String) {
            self.interface = interface
            self.remote = remote
        }
    }
    /// Where the DHCP server keeps its files.
    public var directory: String
    /// The name of the table in nftables.
    public var table: String

    /// A bridge without addresses.
    public init(name: String, address: String, directory: String, table: String) {
        self.name = name
        self.address = address
        self.directory = directory
        self.table = table
    }

    /// Whether a DHCP or DNS server has something to do.
    public var needsServer: Bool { ipv4 != nil || ipv6 != nil }
}
