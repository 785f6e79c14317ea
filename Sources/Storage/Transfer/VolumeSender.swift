public import LinuxSystem

/// One pass over a volume that is sent; each goes over a stream of its own.
public enum TransferPass: UInt8, Sendable, CaseIterable {
    /// All of it. The container may run.
    case first = 0
    /// What has changed since the last pass, while the container still runs: what is left for `last` then is little.
    case update = 1
    /// What has changed since, now that the container stands still.
    case last = 2
    /// What others than the container's processes have changed since `last` (CRIU leaves files in the volume).
    case again = 3
}

/// The source's end of moving one volume. The passes go over streams one after the other, each over a connected
/// socket of its own, and the sockets' other ends lead to a `VolumeReceiver`. Cancelling the task that is sending
/// ends what was started for it.
public protocol VolumeSender: Sendable {
    /// What is sent.
    var volume: Volume { get }

    /// How it is sent.
    var method: TransferMethod { get }

    /// Sends one pass and waits until the other side has it. Takes the socket over; it is closed at the end.
    /// After a failure nothing but `end` may follow.
    @discardableResult
    func send(_ pass: TransferPass, over socket: FileDescriptor) async throws -> PassReport

    /// Gives back what the session holds: watches, snapshots made for it. Does nothing when called again.
    func end() async
}

/// The sink's end: a volume that is being made, unknown to anybody until `install`.
public protocol VolumeReceiver: Sendable {
    /// What it will become.
    var volume: Volume { get }

    /// Takes in one pass. Takes the socket over; it is closed at the end. After a failure nothing but `discard` may
    /// follow.
    @discardableResult
    func receive(over socket: FileDescriptor) async throws -> ReceivedPass

    /// Where the volume's files are now: mounts made of them stay valid when it is installed.
    var directory: String { get }

    /// Writes to disk what has been received, so that a loss of power takes nothing back. May run beside anything.
    func flush() async throws

    /// Gives the volume its name. One that was to be replaced (`refreshing`) is removed.
    func install() async throws

    /// Gives the volume up. Does nothing after `install`.
    func discard() async
}

/// A pass that was received.
public struct ReceivedPass: Sendable, Hashable {
    /// Which one it was; nil where the method does not tell.
    public var pass: TransferPass?
    /// What it brought.
    public var report: PassReport

    /// A pass with its figures.
    public init(pass: TransferPass?, report: PassReport) {
        self.pass = pass
        self.report = report
    }
}

/// How far a transfer has come: all passes up to now.
public struct TransferProgress: Sendable, Hashable {
    /// Files, directories and other entries.
    public var entries = 0
    /// Bytes sent, or received.
    public var bytes: UInt64 = 0

    /// Nothing yet.
    public init() {}

    /// Gets it now and then, from a thread of the transfer.
    public typealias Callback = @Sendable (TransferProgress) -> Void
}
