/// A network of the machine: one that Apus manages, or an interface it merely sees.
public struct Network: Codable, Sendable, Equatable {
    /// Keys.
    @Defaulted public var config: ConfigMap
    /// Free text.
    @Defaulted public var description: String
    /// Its name, which is that of its interface.
    @Defaulted public var name: String
    /// "bridge", "physical", "loopback" or "unknown".
    @Defaulted public var type: String
    /// URLs of the containers and profiles that use it.
    @Defaulted public var usedBy: [String]
    /// Whether Apus manages it.
    @Defaulted public var managed: Bool
    /// "Created", or "" if Apus does not manage it.
    @Defaulted public var status: String
    /// Always ["none"]: there are no clusters.
    @Defaulted public var locations: [String]

    enum CodingKeys: String, CodingKey {
        case config, description, name, type, managed, status, locations
        case usedBy = "used_by"
    }

    /// An empty network.
    public init(name: String = "", type: String = "bridge") {
        self.name = name
        self.type = type
        locations = ["none"]
    }
}

/// What `POST /1.0/networks` takes.
public struct NetworksPost: Codable, Sendable, Equatable {
    /// Keys.
    @Defaulted public var config: ConfigMap
    /// Free text.
    @Defaulted public var description: String
    /// Its name.
    @Defaulted public var name: String
    /// "bridge", or "".
    @Defaulted public var type: String

    /// A network to make.
    public init(name: String) { self.name = name }
}

/// What `PUT` and `PATCH /1.0/networks/<name>` take.
public struct NetworkPut: Codable, Sendable, Equatable {
    /// Keys.
    @Defaulted public var config: ConfigMap
    /// Free text.
    @Defaulted public var description: String

    /// Nothing set.
    public init() {}
}

/// An address that a network has handed out, or that was chosen for a container.
public struct NetworkLease: Codable, Sendable, Equatable {
    /// The name of who has it.
    @Defaulted public var hostname: String
    /// The interface's address.
    @Defaulted public var hwaddr: String
    /// The address.
    @Defaulted public var address: String
    /// "dynamic", "static" or "gateway".
    @Defaulted public var type: String
    /// Always "none".
    @Defaulted public var location: String

    /// A lease.
    public init(hostname: String, hwaddr: String, address: String, type: String) {
        self.hostname = hostname
        self.hwaddr = hwaddr
        self.address = address
        self.type = type
        location = "none"
    }
}

/// An interface, as it is right now.
public struct NetworkState: Codable, Sendable, Equatable {
    /// Its addresses.
    @Defaulted public var addresses: [InstanceStateNetworkAddress]
    /// What went through it.
    @Defaulted public var counters: InstanceStateNetworkCounters
    /// The interface's address.
    @Defaulted public var hwaddr: String
    /// The most bytes a packet can have.
    @Defaulted public var mtu: Int64
    /// "up" or "down".
    @Defaulted public var state: String
    /// "broadcast", "loopback" …
    @Defaulted public var type: String
    /// What is so of bridges alone.
    public var bridge: NetworkStateBridge?

    /// Nothing known.
    public init() {}
}

/// What is so of bridges alone.
public struct NetworkStateBridge: Codable, Sendable, Equatable {
    /// The bridge's own number among others.
    @Defaulted public var id: String
    /// Whether it looks for loops.
    @Defaulted public var stp: Bool
    /// Its ports.
    @Defaulted public var upperDevices: [String]

    enum CodingKeys: String, CodingKey {
        case id, stp
        case upperDevices = "upper_devices"
    }

    /// A bridge without ports.
    public init() {}
}
