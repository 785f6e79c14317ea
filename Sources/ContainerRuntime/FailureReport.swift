public import LinuxSystem

/// Tells whoever started the runtime why it failed: over the channel if there is one, and in the log.
public struct FailureReport {
    /// The socket to the launcher.
    public var channel: FileDescriptor?

    /// Nobody to tell yet.
    public init() {}

    /// Tells it.
    public func tell(_ error: any Error) {
        RuntimeLog.write("failed: \(error)")
        if let channel { try? WireSocket.send(LaunchMessage.failed("\(error)").encoded(), on: channel) }
    }
}
