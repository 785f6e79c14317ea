import ApusAPI
package import ApusClient
import NIOHTTP1
import Yams

/// A daemon's set-up as YAML: what `apus admin init` reads and prints.
package struct Preseed: Codable, Equatable {
    /// A storage pool.
    package struct Pool: Codable, Equatable {
        package var name: String
        package var driver: String
        package var description: String?
        package var config: [String: String]?

        package init(name: String, driver: String) {
            self.name = name
            self.driver = driver
        }
    }

    /// A profile.
    package struct Profile: Codable, Equatable {
        package var name: String
        package var description: String?
        package var config: [String: String]?
        package var devices: [String: [String: String]]?

        package init(name: String) { self.name = name }
    }

    /// The daemon's own keys.
    package var config: [String: String]?
    /// Storage pools.
    package var storagePools: [Pool]?
    /// Profiles.
    package var profiles: [Profile]?

    enum CodingKeys: String, CodingKey {
        case config, profiles
        case storagePools = "storage_pools"
    }

    package init() {}

    /// Reads YAML.
    package init(yaml: String) throws {
        do {
            self = try YAMLDecoder().decode(Preseed.self, from: yaml)
        } catch let error as DecodingError {
            throw Failure("the preseed is not what is expected: \(error.summary)")
        } catch {
            throw Failure("the preseed is not YAML: \(error)")
        }
    }

    /// What a daemon has now.
    package init(of client: Client) async throws {
        config = try await client.server().config
        storagePools = try await client.storagePools().sorted { $0.name < $1.name }.map { pool in
            var result = Pool(name: pool.name, driver: pool.driver)
            result.description = pool.description
            result.config = pool.config
            return result
        }
        profiles = try await client.profiles().sorted { $0.name < $1.name }.map { profile in
            var result = Profile(name: profile.name)
            result.description = profile.description
            result.config = profile.config
            result.devices = profile.devices
            return result
        }
    }

    /// Sets a daemon up. Pools that are there stay; profiles that are there and have a root disk may stay, too.
    package func apply(to client: Client, keepingProfiles: Bool) async throws {
        if let config, !config.isEmpty {
            try await client.send(.PATCH, "/1.0", ["config": config])
        }
        let pools = Set(try await client.storagePools().map(\.name))
        for pool in storagePools ?? [] where !pools.contains(pool.name) {
            var post = StoragePoolsPost(name: pool.name, driver: pool.driver)
            post.description = pool.description ?? ""
            post.config = pool.config ?? [:]
            try await client.createStoragePool(post)
        }
        let present = try await client.profiles()
        for profile in profiles ?? [] {
            let old = present.first { $0.name == profile.name }
            if keepingProfiles, let old, old.devices.values.contains(where: { $0["path"] == "/" }) {
                continue
            }
            var put = ProfilePut()
            put.description = profile.description ?? old?.description ?? ""
            put.config = profile.config ?? old?.config ?? [:]
            put.devices = profile.devices ?? old?.devices ?? [:]
            if old == nil {
                var new = ApusAPI.Profile(name: profile.name)
                new.description = put.description
                new.config = put.config
                new.devices = put.devices
                try await client.send(.POST, "/1.0/profiles", new)
            } else {
                try await client.updateProfile(profile.name, put)
            }
        }
    }
}
