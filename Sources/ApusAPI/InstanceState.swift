/// What `PUT /1.0/instances/<name>/state` takes.
public struct InstanceStatePut: Codable, Sendable, Equatable {
    /// "start", "stop", "restart", "freeze" or "unfreeze".
    @Defaulted public var action: String
    /// Seconds to wait for a clean end; 0 or less for as long as the daemon does by itself.
    @Defaulted public var timeout: Int
    /// Whether to kill instead of asking.
    @Defaulted public var force: Bool
    /// Whether a stop keeps the running state, and a start uses it.
    @Defaulted public var stateful: Bool
    /// With "start": throw the kept running state away.
    @Defaulted public var apusStateless: Bool

    enum CodingKeys: String, CodingKey {
        case action, timeout, force, stateful
        case apusStateless = "apus_stateless"
    }

    /// An action.
    public init(action: String, timeout: Int = -1, force: Bool = false, stateful: Bool = false) {
        self.action = action
        self.timeout = timeout
        self.force = force
        self.stateful = stateful
    }
}

/// What a container uses right now.
public struct InstanceState: Codable, Sendable, Equatable {
    /// The word for `statusCode`.
    @Defaulted public var status: String
    /// Running, stopped, frozen or in error.
    @Defaulted public var statusCode: Int
    /// Disk use by device.
    @Defaulted public var disk: [String: InstanceStateDisk]
    /// Memory.
    @Defaulted public var memory: InstanceStateMemory
    /// Interfaces by name; null when it does not run.
    public var network: [String: InstanceStateNetwork]?
    /// Init's process id on the host; 0 when it does not run.
    @Defaulted public var pid: Int64
    /// How many processes it has.
    @Defaulted public var processes: Int64
    /// Processor time.
    @Defaulted public var cpu: InstanceStateCPU

    enum CodingKeys: String, CodingKey {
        case status, disk, memory, network, pid, processes, cpu
        case statusCode = "status_code"
    }

    /// Nothing known.
    public init() {}

    /// Writes LXD's shape: `network` is there even when it is null.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(status, forKey: .status)
        try container.encode(statusCode, forKey: .statusCode)
        try container.encode(disk, forKey: .disk)
        try container.encode(memory, forKey: .memory)
        try container.encode(network, forKey: .network)
        try container.encode(pid, forKey: .pid)
        try container.encode(processes, forKey: .processes)
        try container.encode(cpu, forKey: .cpu)
    }
}

/// Disk use of one device.
public struct InstanceStateDisk: Codable, Sendable, Equatable {
    /// Bytes.
    @Defaulted public var usage: Int64

    /// Bytes used.
    public init(usage: Int64 = 0) { self.usage = usage }
}

/// Memory use in bytes.
public struct InstanceStateMemory: Codable, Sendable, Equatable, Defaultable {
    /// Now.
    @Defaulted public var usage: Int64
    /// At most, so far.
    @Defaulted public var usagePeak: Int64
    /// Swap now.
    @Defaulted public var swapUsage: Int64
    /// Swap at most, so far.
    @Defaulted public var swapUsagePeak: Int64

    enum CodingKeys: String, CodingKey {
        case usage
        case usagePeak = "usage_peak"
        case swapUsage = "swap_usage"
        case swapUsagePeak = "swap_usage_peak"
    }

    /// All zero.
    public init() {}
    /// All zero.
    public static var apiDefault: InstanceStateMemory { InstanceStateMemory() }
}

/// Processor use.
public struct InstanceStateCPU: Codable, Sendable, Equatable, Defaultable {
    /// Nanoseconds.
    @Defaulted public var usage: Int64

    /// Nanoseconds used.
    public init(usage: Int64 = 0) { self.usage = usage }
    /// Zero.
    public static var apiDefault: InstanceStateCPU { InstanceStateCPU() }
}

/// One network interface inside the container.
public struct InstanceStateNetwork: Codable, Sendable, Equatable {
    /// Its addresses.
    @Defaulted public var addresses: [InstanceStateNetworkAddress]
    /// Traffic so far.
    @Defaulted public var counters: InstanceStateNetworkCounters
    /// Hardware address.
    @Defaulted public var hwaddr: String
    /// The host's end of it.
    @Defaulted public var hostName: String
    /// Largest packet.
    @Defaulted public var mtu: Int
    /// "up" or "down".
    @Defaulted public var state: String
    /// "loopback" or "broadcast".
    @Defaulted public var type: String

    enum CodingKeys: String, CodingKey {
        case addresses, counters, hwaddr, mtu, state, type
        case hostName = "host_name"
    }

    /// An unnamed interface.
    public init() {}
}

/// One address of an interface.
public struct InstanceStateNetworkAddress: Codable, Sendable, Equatable {
    /// "inet" or "inet6".
    @Defaulted public var family: String
    /// The address.
    @Defaulted public var address: String
    /// Its prefix length.
    @Defaulted public var netmask: String
    /// "local", "link" or "global".
    @Defaulted public var scope: String

    /// No address.
    public init() {}
}

/// Traffic of an interface.
public struct InstanceStateNetworkCounters: Codable, Sendable, Equatable, Defaultable {
    /// Bytes in.
    @Defaulted public var bytesReceived: Int64
    /// Bytes out.
    @Defaulted public var bytesSent: Int64
    /// Packets in.
    @Defaulted public var packetsReceived: Int64
    /// Packets out.
    @Defaulted public var packetsSent: Int64

    enum CodingKeys: String, CodingKey {
        case bytesReceived = "bytes_received"
        case bytesSent = "bytes_sent"
        case packetsReceived = "packets_received"
        case packetsSent = "packets_sent"
    }

    /// All zero.
    public init() {}
    /// All zero.
    public static var apiDefault: InstanceStateNetworkCounters { InstanceStateNetworkCounters() }
}
