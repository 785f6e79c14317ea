package import ApusAPI

/// What the usual columns of `apus list` show of a container. To read but that takes a fraction of the time that all
/// fields take.
package struct ListedInstance: Codable, Sendable {
    private var name: String
    private var status: String
    private var ephemeral: Bool?
    private var snapshots: [Snapshot]?
    private var state: State?

    private struct Snapshot: Codable, Sendable {}

    private struct State: Codable, Sendable {
        var network: [String: Network]?
    }

    private struct Network: Codable, Sendable {
        var addresses: [Address]?
    }

    private struct Address: Codable, Sendable {
        var family: String
        var address: String
        var scope: String
    }

    /// The container, with nothing but that.
    package var instance: Instance {
        var instance = Instance()
        instance.name = name
        instance.status = status
        instance.ephemeral = ephemeral ?? false
        instance.snapshots = snapshots?.map { _ in InstanceSnapshot() }
        guard let state else { return instance }
        instance.state = InstanceState()
        instance.state?.network = state.network?.mapValues { network in
            var interface = InstanceStateNetwork()
            interface.addresses = (network.addresses ?? []).map { from in
                var address = InstanceStateNetworkAddress()
                address.family = from.family
                address.address = from.address
                address.scope = from.scope
                return address
            }
            return interface
        }
        return instance
    }
}
