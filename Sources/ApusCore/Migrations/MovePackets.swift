import ContainerRuntime
import FoundationEssentials
import Migration

/// The source's half: packets that have come for a container while it stood still, and may come until all its neighbours
/// know where it is now, are sent after it.
struct PacketForwarder: Sendable {
    /// One message has no more than this, in bytes, and one frame.
    private static let most = 1 << 20
    private let task: Task<Void, Never>?
    private let rest: @Sendable () async -> Void

    /// Begins: the container is the other host's.
    init(_ packets: PacketKeeper?, _ send: @escaping @Sendable (MoveMessage) async throws -> Void) {
        guard let packets else {
            (task, rest) = (nil, {})
            return
        }
        let pass: @Sendable () async throws -> Void = {
            for message in Self.messages(packets.take()) { try await send(message) }
        }
        // What does not get there is sent again by those who sent it.
        rest = { try? await pass() }
        task = Task {
            do {
                while true {
                    try await pass()
                    try await packets.more()
                }
            } catch {}
        }
    }

    /// Ends; if the container is gone, what is still there is sent, else it is its own.
    func finish(isGone: Bool) async {
        task?.cancel()
        await task?.value
        if isGone { await rest() }
    }

    private static func messages(_ kept: [KeptPackets]) -> [MoveMessage] {
        var messages: [MoveMessage] = []
        for packets in kept {
            var next = Migration_ApusPackets()
            next.interface = packets.interface
            var size = 0
            for frame in packets.frames {
                if size > most {
                    messages.append(.packets(next))
                    next.frames = []
                    size = 0
                }
                next.frames.append(Data(frame))
                size += frame.count
            }
            messages.append(.packets(next))
        }
        return messages
    }
}

/// The sink's half: packets that come after the container wait until it can be reached.
actor ArrivingPackets {
    private var waiting: [KeptPackets] = []
    private var delivery: PacketDelivery?

    /// Brings packets to the container, now or as soon as it can be reached.
    func bring(_ message: Migration_ApusPackets) {
        let packets = KeptPackets(interface: message.interface, frames: message.frames.map(Array.init))
        guard let delivery else { return waiting.append(packets) }
        delivery.bring([packets])
    }

    /// The container with these interfaces can be reached.
    func open(_ interfaces: [NetworkInterface]) {
        // Where they cannot be brought they are sent again by those who sent them.
        guard let delivery = try? PacketDelivery(interfaces) else { return }
        self.delivery = delivery
        delivery.bring(waiting)
        waiting = []
    }
}
