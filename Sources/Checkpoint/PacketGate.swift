import ContainerRuntime

/// Lets packets through to a container, or none: the kernel would answer them for sockets that are half saved. What can be
/// kept of those that come meanwhile it gets afterwards.
struct PacketGate: Sendable {
    private let subject: CheckpointSubject
    /// Nil if nothing can be kept: then whoever sent it sends it again.
    let keeper: PacketKeeper?

    init(_ subject: CheckpointSubject) {
        self.subject = subject
        keeper = try? PacketKeeper(subject.interfaces)
    }

    /// Shuts what the container hears shut, while it can still hear it.
    func prepare() throws {
        for interface in subject.interfaces where interface.isHeardInside {
            try interface.pass(false, to: subject.initPID)
        }
    }

    /// The tasks stand still.
    func shut() throws {
        // First: what comes in between is had twice rather than not at all.
        try? keeper?.begin()
        try pass(false)
    }

    /// The sockets are whole again. May be called more than once.
    func open() throws {
        try pass(true)
        guard let packets = keeper?.take(), !packets.isEmpty else { return }
        try? PacketDelivery(subject.interfaces).bring(packets)
    }

    private func pass(_ open: Bool) throws {
        for interface in subject.interfaces { try interface.pass(open, to: subject.initPID) }
    }
}
