/// What serves the API on the network, as the daemon sees it.
public protocol NetworkListener: Sendable {
    /// Listens at an address from now on, and no longer at the one before; at none for nil.
    /// - Parameter commit: makes the change last; called when the new address is open, before the old one is given up.
    /// - Throws: why the address cannot be had, or what `commit` threw; it listens where it did before, then.
    func move(to address: ListenAddress?, commit: @Sendable () throws -> Void) async throws

    /// Listens where it did when the daemon last ran, also if the machine does not have that address yet: interfaces may
    /// come up later than the daemon.
    /// - Throws: why that cannot be.
    func resume(at address: ListenAddress) async throws
}

/// Where nobody serves the network: only in tests of the services.
struct NoListener: NetworkListener {
    func move(to address: ListenAddress?, commit: @Sendable () throws -> Void) async throws { try commit() }
    func resume(at address: ListenAddress) async throws {}
}
