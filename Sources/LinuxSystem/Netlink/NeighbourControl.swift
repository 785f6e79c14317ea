/// What a network namespace knows of its neighbours' addresses on the wire.
public struct NeighbourControl: Sendable {
    private let socket: NetlinkSocket
    private static let delete: UInt16 = 29
    private static let get: UInt16 = 30
    /// NUD_INCOMPLETE and NUD_FAILED.
    private static let unanswered: UInt16 = 0x01 | 0x20

    /// For the namespace of this thread, or another one.
    public init(in namespace: FileDescriptor? = nil) throws {
        socket = try NetlinkSocket(.route, in: namespace)
    }

    /// Forgets neighbours that were asked for and have not answered: they are asked for anew by whoever has something
    /// for them. The kernel itself repeats a question only after a second.
    public func forgetUnanswered() throws {
        // struct ndmsg: family, padding, index of 32 bits, state of 16, flags, type.
        let length = 12
        let question = NetlinkMessage(
            Self.get, flags: NetlinkMessage.dump, header: [UInt8](repeating: 0, count: length))
        for neighbour in try socket.ask(question, "list the neighbours") {
            guard neighbour.payload.count >= length,
                (NetlinkBytes.read(neighbour.payload, 8) as UInt16) & Self.unanswered != 0,
                let address = NetlinkAttribute.parse(neighbour.payload.dropFirst(length)).first(where: {
                    $0.type == 1
                })
            else { continue }
            var message = NetlinkMessage(Self.delete, header: Array(neighbour.payload.prefix(length)))
            message.add(1, address.value)
            // It may have answered just now.
            try? socket.perform(message, "forget a neighbour")
        }
    }
}
