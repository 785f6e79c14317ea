import CLinux
import Glibc

/// Takes down the TCP packets for some Ethernet addresses, whichever interface of this network namespace they pass.
public struct FrameTrap: Sendable {
    /// A packet.
    public struct Frame: Sendable {
        /// The interface it passed.
        public var interface: Int32
        /// Whether this machine was sending it out of that interface.
        public var isOutgoing: Bool
        /// A `virtio_net_hdr` and the frame, as `FrameSender` takes them.
        public var bytes: [UInt8]

        /// The Ethernet address it is for.
        public var destination: [UInt8] { Array(bytes.dropFirst(FrameTrap.headLength).prefix(6)) }
    }

    /// How many addresses there can be.
    public static let mostAddresses = 16
    /// The length of a `virtio_net_hdr`.
    private static let headLength = 10
    /// The longest frame: segments are cut by the last interface on their way only.
    private static let longest = headLength + 14 + 65_536 + 256
    private let socket: FileDescriptor

    /// For these addresses, of 6 bytes each; it takes nothing down yet.
    /// - Parameter room: for how many bytes there is room; what comes when it is full is not taken down.
    public init(for addresses: [[UInt8]], room: Int32) throws {
        let chosen = addresses.filter { $0.count == 6 }.prefix(Self.mostAddresses)
        socket = FileDescriptor(
            owning: try check("socket", "keep packets for the moment") {
                apus_frame_trap(chosen.flatMap { $0 }, Int32(chosen.count), room)
            })
    }

    /// Begins.
    public func set() throws {
        try check("bind", "keep packets for the moment") { apus_frame_trap_set(socket.rawValue) }
    }

    /// What has come since the last time.
    public func take() -> [Frame] {
        var frames: [Frame] = []
        var room = [UInt8](repeating: 0, count: Self.longest)
        while true {
            var interface: Int32 = 0
            var isOutgoing: Int32 = 0
            var isTagged: Int32 = 0
            let length = apus_frame_take(
                socket.rawValue, &room, room.count, &interface, &isOutgoing, &isTagged)
            guard length >= 0 else { return frames }
            // The tag of a VLAN is not in the frame: without it, it would be another one.
            guard isTagged == 0, length <= room.count, length > Self.headLength + 14 else { continue }
            frames.append(
                Frame(interface: interface, isOutgoing: isOutgoing != 0, bytes: Array(room[..<length])))
        }
    }

    /// Waits until there is something.
    public func readable() async throws { try await socket.readable() }
}

/// Sends frames that a `FrameTrap` has taken down out of an interface.
public struct FrameSender: Sendable {
    private let socket: FileDescriptor

    /// Through the interface of this network namespace that has this number.
    public init(_ interface: Int32) throws {
        socket = FileDescriptor(
            owning: try check("socket", "send packets that were kept") { apus_frame_sender(interface) })
    }

    /// Sends one; one that cannot be sent is lost, as any packet can be.
    public func send(_ frame: [UInt8]) { try? socket.send(frame, wait: false) }
}
