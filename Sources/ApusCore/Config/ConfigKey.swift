import ContainerRuntime

/// What kind of value a key takes.
public enum ConfigValueKind: Sendable, Equatable {
    /// Any text.
    case text
    /// "true" or "false".
    case bool
    /// A whole number within bounds.
    case integer(ClosedRange<Int64>)
    /// Bytes such as "512MiB", or a share of the machine such as "50%".
    case bytes
    /// Bytes such as "10GiB".
    case size
    /// A number of processors ("2") or a set of them ("0-1,3").
    case cpus
    /// A share ("50%") or a quota ("25ms/100ms") of processor time.
    case allowance
    /// One number, or two, soft and hard ("1000:2000"); "unlimited" is one, too.
    case kernelLimit
    /// Bits per second such as "10Mbit".
    case bitRate
    /// One of some words.
    case word([String])
    /// An address to listen at, such as ":8443".
    case listenAddress
    /// A time such as "24H" or "3d".
    case timeSpan
    /// A password; only a hash of it is kept, and "true" is shown.
    case password

    /// How the reference names it.
    public var name: String {
        switch self {
        case .text: "string"
        case .bool: "boolean"
        case .integer: "integer"
        case .bytes: "bytes or percentage"
        case .size: "bytes"
        case .cpus: "number or set"
        case .allowance: "percentage or time"
        case .kernelLimit: "soft:hard"
        case .bitRate: "bits per second"
        case .word(let words): words.joined(separator: ", ")
        case .listenAddress: "address"
        case .timeSpan: "time"
        case .password: "password"
        }
    }

    /// What is wrong with a value, as the end of a sentence; nil if nothing is.
    func problem(_ value: String) -> String? {
        switch self {
        case .text:
            return nil
        case .bool:
            return ConfigValues.bool(value) == nil ? "is not \"true\" or \"false\"" : nil
        case .integer(let range):
            guard let number = Int64(value), range.contains(number) else {
                return "is not a whole number from \(range.lowerBound) to \(range.upperBound)"
            }
            return nil
        case .bytes:
            return ConfigValues.memory(value, total: 1 << 40) == nil
                ? "is not a size such as \"512MiB\" or a percentage such as \"50%\"" : nil
        case .size:
            return (ConfigValues.bytes(value) ?? 0) <= 0 ? "is not a size such as \"10GiB\"" : nil
        case .cpus:
            return ConfigValues.cpus(value, online: 1 << 16) == nil
                ? "is not a number of processors such as \"2\" or a set such as \"0-1,3\"" : nil
        case .allowance:
            return ConfigValues.allowance(value) == nil
                ? "is not a percentage such as \"50%\" or a time such as \"25ms/100ms\"" : nil
        case .listenAddress:
            return ListenAddress(value) == nil
                ? "is not an address to listen at such as \":8443\", \"10.0.0.1:8443\" or \"[::1]:8443\""
                : nil
        case .timeSpan:
            return ConfigValues.timeSpan(value) == nil
                ? "is not a time such as \"30M\" (minutes), \"24H\" (hours), \"3d\" (days) or \"2w\" (weeks)"
                : nil
        case .password:
            return value.count < 8 ? "is shorter than 8 characters" : nil
        case .kernelLimit:
            // Which resource it is does not matter for the form.
            return value.isEmpty || KernelLimit(name: "nofile", value) != nil
                ? nil : "is not a number, or two such as \"1000:2000\" (soft:hard); \"unlimited\" is one, too"
        case .bitRate:
            return ConfigValues.bitRate(value) == nil
                ? "is not a number of bits per second such as \"10Mbit\", from 8kbit to 100Gbit" : nil
        case .word(let words):
            return words.contains(value) ? nil : "is not one of \(words.joined(separator: ", "))"
        }
    }
}

/// Who may set a key.
public enum ConfigKeyOwner: Sendable {
    /// Users, at any time.
    case user
    /// The image it was made from, or users.
    case image
    /// The daemon alone.
    case daemon
}

/// One key of a container's configuration.
public struct ConfigKey: Sendable {
    /// The key; with a trailing "*" every key that begins so.
    public let name: String
    /// What values it takes.
    public let kind: ConfigValueKind
    /// What holds when it is not set, for the reference.
    public let defaultValue: String
    /// Whether a change takes effect on a running container at once.
    public let live: Bool
    /// Who may set it.
    public let owner: ConfigKeyOwner
    /// What it does.
    public let summary: String

    init(
        _ name: String, _ kind: ConfigValueKind, default defaultValue: String = "-", live: Bool,
        owner: ConfigKeyOwner = .user, _ summary: String
    ) {
        self.name = name
        self.kind = kind
        self.defaultValue = defaultValue
        self.live = live
        self.owner = owner
        self.summary = summary
    }

    func matches(_ key: String) -> Bool {
        guard name.hasSuffix("*") else { return name == key }
        let prefix = name.dropLast()
        return key.hasPrefix(prefix) && key.count > prefix.count
    }
}
