import ApusAPI
import ApusClient
package import ArgumentParser
import Yams

/// `apus admin init`
package struct AdminInit: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Set the daemon up: a storage pool, a network, and the default profile that uses them.",
        discussion: """
            May be run again: what is there already stays. --preseed reads YAML with the keys config, \
            storage_pools, networks and profiles from standard input; --dump prints such YAML.

            EXAMPLES:
              apus admin init --auto
              apus admin init --auto --storage-pool fast --storage-source /srv/apus
              apus admin init --preseed < preseed.yaml
              apus admin init --dump > preseed.yaml
            """)

    @Flag(name: .long, help: "Choose everything by itself.")
    package var auto = false

    @Flag(name: .long, help: "Read what to set up from standard input.")
    package var preseed = false

    @Flag(name: .long, help: "Print what is set up.")
    package var dump = false

    @Option(
        help: ArgumentHelp(
            "With --auto: the pool's driver. Without: btrfs where the daemon's machine has it, else dir.",
            valueName: "driver"))
    package var storageBackend: String?

    @Option(help: ArgumentHelp("With --auto: the pool's name.", valueName: "name"))
    package var storagePool = "default"

    @Option(help: ArgumentHelp("With --auto: where the pool keeps its files.", valueName: "path"))
    package var storageSource: String?

    @Option(help: ArgumentHelp("With --auto: the network's name, or \"none\".", valueName: "name"))
    package var network = "apusbr0"

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        guard [auto, preseed, dump].filter({ $0 }).count == 1 else {
            throw ValidationError("Give one of --auto, --preseed and --dump.")
        }
    }

    /// What `--auto` sets up with a daemon that has these storage drivers. A source is taken for a directory, unless
    /// the driver is given.
    package func automatic(drivers: [String]) -> Preseed {
        let hasOwnFile = storageSource == nil && drivers.contains("btrfs")
        var preseed = Preseed()
        var pool = Preseed.Pool(name: storagePool, driver: storageBackend ?? (hasOwnFile ? "btrfs" : "dir"))
        if let storageSource { pool.config = ["source": storageSource] }
        preseed.storagePools = [pool]
        var profile = Preseed.Profile(name: "default")
        profile.devices = ["root": ["type": "disk", "path": "/", "pool": storagePool]]
        preseed.profiles = [profile]
        return preseed
    }

    /// Makes the network and puts eth0 on it into the default profile, unless there is a network already. On a machine
    /// that cannot have one, says why: containers then have none.
    private func addNetwork(_ session: Session) async throws {
        guard network != "none" else { return }
        let client = session.client
        let networks = try await client.networks()
        let own = networks.first { $0.managed }
        var name = own?.name ?? network
        if own == nil {
            // Another daemon may have that name on this machine.
            var number = 0
            while networks.contains(where: { $0.name == name }) {
                number += 1
                name = "apusbr\(number)"
            }
            do {
                try await client.createNetwork(NetworksPost(name: name))
            } catch {
                Output.failure(
                    "No network was made: \(error)\nContainers have none until one is made with \"apus network create\"."
                )
                return
            }
        }
        let profile = try await client.profile("default")
        guard !profile.devices.values.contains(where: { $0["type"] == "nic" }), profile.devices["eth0"] == nil
        else { return }
        var put = ProfilePut()
        put.description = profile.description
        put.config = profile.config
        put.devices = profile.devices
        put.devices["eth0"] = ["type": "nic", "network": name, "name": "eth0"]
        try await client.updateProfile("default", put)
    }

    package func run() async throws {
        let session = global.session
        if dump {
            session.output.write(try Rendering.yaml(try await Preseed(of: session.client)))
        } else if preseed {
            try await Preseed(yaml: try FileIO.standardInput()).apply(
                to: session.client, keepingProfiles: false)
        } else {
            let drivers =
                try await session.client.server().environment?.storageSupportedDrivers.map(\.name) ?? []
            try await automatic(drivers: drivers).apply(to: session.client, keepingProfiles: true)
            try await addNetwork(session)
        }
    }
}
