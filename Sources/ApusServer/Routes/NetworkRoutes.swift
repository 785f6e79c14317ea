import ApusAPI
import ApusCore
import HTTPTypes
import HummingbirdCore

/// Networks.
struct NetworkRoutes {
    let daemon: Daemon
    private var networks: NetworkService { daemon.networks }

    var routes: [Route] {
        [
            Route(.get, "/1.0/networks", "All networks, the machine's other interfaces included") { request in
                guard request.recursion > 0 else {
                    return try Reply.sync(await networks.list().map { "/1.0/networks/\($0.name)" })
                }
                let users = await users()
                return try Reply.sync(await networks.list().map { withUsers($0, users) })
            },
            Route(.post, "/1.0/networks", "Make a network") { request in
                let post = try await request.json(NetworksPost.self)
                try await networks.create(post)
                return try Reply.created("/1.0/networks/\(post.name)")
            },
            Route(.get, "/1.0/networks/{name}", "A network") { request in
                let name = try request.path("name")
                return try Reply.sync(
                    withUsers(try await networks.get(name), await users()),
                    etag: try await networks.etag(name))
            },
            Route(.put, "/1.0/networks/{name}", "Replace a network's keys") { request in
                try await networks.update(
                    try request.path("name"), try await request.json(NetworkPut.self), merge: false,
                    ifMatch: request.ifMatch)
                return try Reply.done()
            },
            Route(.patch, "/1.0/networks/{name}", "Change some of a network's keys") { request in
                try await networks.update(
                    try request.path("name"), try await request.json(NetworkPut.self), merge: true,
                    ifMatch: request.ifMatch)
                return try Reply.done()
            },
            Route(.post, "/1.0/networks/{name}", "Rename a network that nothing uses") { request in
                let name = try request.path("name")
                let post = try await request.json(InstancePost.self)
                try await networks.rename(name, to: post.name, usedBy: await users()[name] ?? [])
                return try Reply.created("/1.0/networks/\(post.name)")
            },
            Route(.delete, "/1.0/networks/{name}", "Delete a network that nothing uses") { request in
                let name = try request.path("name")
                try await networks.delete(name, usedBy: await users()[name] ?? [])
                return try Reply.done()
            },
            Route(.get, "/1.0/networks/{name}/state", "Addresses and counters of an interface") { request in
                try Reply.sync(try await networks.state(try request.path("name")))
            },
            Route(.get, "/1.0/networks/{name}/leases", "The addresses a network has handed out") { request in
                let name = try request.path("name")
                return try Reply.sync(
                    try await networks.leases(name, chosen: await daemon.containers.chosenAddresses(in: name))
                )
            },
        ]
    }

    /// URLs of containers and profiles by the network they use.
    private func users() async -> [String: [String]] {
        var users = await daemon.containers.networkUsers()
        for profile in daemon.profiles.list() {
            for network in NetworkUse.names(profile.devices) {
                users[network, default: []].append("/1.0/profiles/\(profile.name)")
            }
        }
        return users
    }

    private func withUsers(_ network: Network, _ users: [String: [String]]) -> Network {
        var network = network
        network.usedBy = users[network.name] ?? []
        return network
    }
}
