public import ApusAPI
import NIOHTTP1

extension Client {
    private static func path(network name: String, _ rest: String = "") -> String {
        "/1.0/networks/\(name.percentEncoded)\(rest)"
    }

    /// All networks, the machine's other interfaces included.
    public func networks() async throws -> [Network] {
        try await get("/1.0/networks", query: [("recursion", "1")])
    }

    /// One network.
    public func network(_ name: String) async throws -> Network { try await get(Self.path(network: name)) }

    /// One network, with the tag of its present state.
    public func taggedNetwork(_ name: String) async throws -> (Network, String?) {
        try await getTagged(Self.path(network: name), as: Network.self)
    }

    /// Makes a network.
    public func createNetwork(_ post: NetworksPost) async throws {
        try await send(.POST, "/1.0/networks", post)
    }

    /// Replaces a network's keys.
    public func updateNetwork(_ name: String, _ put: NetworkPut, etag: String? = nil) async throws {
        try await send(.PUT, Self.path(network: name), put, etag: etag)
    }

    /// Gives a network another name.
    public func renameNetwork(_ name: String, to newName: String) async throws {
        try await send(.POST, Self.path(network: name), InstancePost(name: newName))
    }

    /// Deletes a network.
    public func deleteNetwork(_ name: String) async throws {
        try await perform(Request(.DELETE, Self.path(network: name)))
    }

    /// Addresses and counters of an interface.
    public func networkState(_ name: String) async throws -> NetworkState {
        try await get(Self.path(network: name, "/state"))
    }

    /// The addresses a network has handed out.
    public func networkLeases(_ name: String) async throws -> [NetworkLease] {
        try await get(Self.path(network: name, "/leases"))
    }
}
