import ApusAPI
package import ApusClient
import NIOHTTP1

/// Sets a daemon up, and takes back what was done if a step fails.
extension Preseed {
    /// Sets a daemon up. Pools that are there stay; profiles that are there and have a root disk may stay, too.
    package func apply(to client: Client, keepingProfiles: Bool) async throws {
        var undo = Undo()
        do {
            try await applyConfig(client, &undo)
            try await applyPools(client, &undo)
            try await applyNetworks(client, &undo)
            try await applyProfiles(client, keeping: keepingProfiles, &undo)
        } catch {
            let left = await undo.run()
            guard left.isEmpty else {
                throw Failure(
                    "\(error); and what was set up before that could not be taken back: "
                        + left.map { "\($0)" }.joined(separator: "; "))
            }
            throw error
        }
    }

    private func applyConfig(_ client: Client, _ undo: inout Undo) async throws {
        guard let config, !config.isEmpty else { return }
        let former = try await client.server().config
        try await client.send(.PATCH, "/1.0", ["config": config])
        undo.add { try await client.send(.PUT, "/1.0", ["config": former]) }
    }

    private func applyPools(_ client: Client, _ undo: inout Undo) async throws {
        let present = Set(try await client.storagePools().map(\.name))
        for pool in storagePools ?? [] where !present.contains(pool.name) {
            var post = StoragePoolsPost(name: pool.name, driver: pool.driver)
            post.description = pool.description ?? ""
            post.config = pool.config ?? [:]
            try await client.createStoragePool(post)
            undo.add { try await client.send(.DELETE, "/1.0/storage-pools/\(pool.name.percentEncoded)") }
        }
    }

    private func applyNetworks(_ client: Client, _ undo: inout Undo) async throws {
        guard let networks else { return }
        let present = Set(try await client.networks().filter(\.managed).map(\.name))
        for network in networks where !present.contains(network.name) {
            var post = NetworksPost(name: network.name)
            post.description = network.description ?? ""
            post.config = network.config ?? [:]
            try await client.createNetwork(post)
            undo.add { try await client.deleteNetwork(network.name) }
        }
    }

    private func applyProfiles(_ client: Client, keeping: Bool, _ undo: inout Undo) async throws {
        let present = try await client.profiles()
        for profile in profiles ?? [] {
            guard let old = present.first(where: { $0.name == profile.name }) else {
                var new = ApusAPI.Profile(name: profile.name)
                new.description = profile.description ?? ""
                new.config = profile.config ?? [:]
                new.devices = profile.devices ?? [:]
                try await client.send(.POST, "/1.0/profiles", new)
                undo.add { try await client.send(.DELETE, "/1.0/profiles/\(profile.name.percentEncoded)") }
                continue
            }
            if keeping, old.devices.values.contains(where: { $0["path"] == "/" }) { continue }
            var put = ProfilePut()
            put.description = profile.description ?? old.description
            put.config = profile.config ?? old.config
            put.devices = profile.devices ?? old.devices
            try await client.updateProfile(profile.name, put)
            var former = ProfilePut()
            former.description = old.description
            former.config = old.config
            former.devices = old.devices
            undo.add { [former] in try await client.updateProfile(profile.name, former) }
        }
    }
}
