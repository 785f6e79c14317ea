/// What the machine has, as `GET /1.0/resources` shows it, in LXD 2.21's form.
public struct Resources: Codable, Sendable, Equatable {
    /// Its processors.
    public var cpu: CPUResources
    /// Its memory.
    public var memory: MemoryResources

    /// A machine.
    public init(cpu: CPUResources, memory: MemoryResources) {
        self.cpu = cpu
        self.memory = memory
    }
}

/// The processors of a machine.
public struct CPUResources: Codable, Sendable, Equatable {
    /// One entry for each package.
    @Defaulted public var sockets: [CPUSocket]
    /// How many of them run programs: threads of all sockets.
    @Defaulted public var total: Int64

    /// Processors.
    public init(sockets: [CPUSocket], total: Int64) {
        self.sockets = sockets
        self.total = total
    }
}

/// One package of processors.
public struct CPUSocket: Codable, Sendable, Equatable {
    /// The number the kernel gives it.
    @Defaulted public var socket: Int64
    /// Its cores that are online.
    @Defaulted public var cores: Int64
    /// Its threads that are online.
    @Defaulted public var threads: Int64
    /// The model, if the kernel knows it.
    public var name: String?
    /// Who made it, if the kernel knows.
    public var vendor: String?
    /// Present frequency in MHz, if the kernel knows it.
    public var frequency: Int64?
    /// Highest frequency in MHz, if the kernel knows it.
    public var frequencyTurbo: Int64?

    enum CodingKeys: String, CodingKey {
        case socket, cores, threads, name, vendor, frequency
        case frequencyTurbo = "frequency_turbo"
    }

    /// A package.
    public init(socket: Int64) { self.socket = socket }
}

/// The memory of a machine.
public struct MemoryResources: Codable, Sendable, Equatable {
    /// Bytes that cannot be had without swapping: all but what is free or can be made so.
    @Defaulted public var used: Int64
    /// Bytes in all.
    @Defaulted public var total: Int64

    /// Some of all.
    public init(used: Int64, total: Int64) {
        self.used = used
        self.total = total
    }
}
