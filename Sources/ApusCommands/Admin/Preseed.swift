import ApusAPI
package import ApusClient

/// A daemon's set-up as YAML: what `apus admin init` reads and prints.
package struct Preseed: Codable, Equatable {
    /// A storage pool.
    package struct Pool: Codable, Equatable {
        package var name: String
        package var driver: String
        package var description: String?
        package var config: [String: String]?

        enum CodingKeys: String, CodingKey, CaseIterable { case name, driver, description, config }

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

        enum CodingKeys: String, CodingKey, CaseIterable { case name, description, config, devices }

        package init(name: String) { self.name = name }
    }

    /// A network.
    package struct Network: Codable, Equatable {
        package var name: String
        package var description: String?
        package var config: [String: String]?

        enum CodingKeys: String, CodingKey, CaseIterable { case name, description, config }

        package init(name: String) { self.name = name }
    }

    /// The daemon's own keys.
    package var config: [String: String]?
    /// Storage pools.
    package var storagePools: [Pool]?
    /// Networks.
    package var networks: [Network]?
    /// Profiles.
    package var profiles: [Profile]?

    enum CodingKeys: String, CodingKey, CaseIterable {
        case config, networks, profiles
        case storagePools = "storage_pools"
    }

    package init() {}

    /// Reads YAML.
    package init(yaml: String) throws {
        let input = try YAMLInput(yaml, of: "the preseed")
        try input.refuseUnknown(CodingKeys.self)
        try input.refuseUnknown(Pool.CodingKeys.self, ofEach: CodingKeys.storagePools)
        try input.refuseUnknown(Network.CodingKeys.self, ofEach: CodingKeys.networks)
        try input.refuseUnknown(Profile.CodingKeys.self, ofEach: CodingKeys.profiles)
        self = try input.decode()
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
        networks = try await client.networks().filter(\.managed).map { network in
            var result = Network(name: network.name)
            result.description = network.description
            result.config = network.config.filter { !$0.key.hasPrefix("volatile.") }
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
}
