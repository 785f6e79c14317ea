/// One key of a type of device. The reference is made from these.
public struct DeviceKey: Sendable {
    /// The key.
    public let name: String
    /// What values it takes.
    public let kind: ConfigValueKind
    /// What holds when it is not set, for the reference.
    public let defaultValue: String
    /// Whether it has to be set.
    public let required: Bool
    /// Whether a change takes effect on a running container without the device being taken out for a moment.
    public let live: Bool
    /// What it does.
    public let summary: String

    init(
        _ name: String, _ kind: ConfigValueKind, default defaultValue: String = "-", required: Bool = false,
        live: Bool = false, _ summary: String
    ) {
        self.name = name
        self.kind = kind
        self.defaultValue = defaultValue
        self.required = required
        self.live = live
        self.summary = summary
    }
}
