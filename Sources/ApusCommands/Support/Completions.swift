import ApusAPI
import ApusClient
package import ArgumentParser

/// Names that only a daemon or the client's own files know, for the shell's completion.
extension CompletionKind {
    /// Names of containers.
    package static var containers: CompletionKind {
        named { client, _ in try await client.instanceNames() }
    }

    /// Names of containers and, once there is a slash, of a container's snapshots.
    package static var snapshots: CompletionKind {
        named { client, begun in
            guard let slash = begun.firstIndex(of: "/") else { return try await client.instanceNames() }
            let container = String(begun[..<slash])
            return try await client.snapshots(of: container).map { "\(container)/\($0.name)" }
        }
    }

    /// Images that a container can be made from.
    package static var images: CompletionKind {
        named(["debian:12", "debian:13", "debian:busybox"]) { client, _ in
            try await client.images().flatMap { $0.aliases.map(\.name) }
        }
    }

    /// Names of profiles.
    package static var profiles: CompletionKind {
        named { client, _ in try await client.profiles().map(\.name) }
    }

    /// Names of storage pools.
    package static var pools: CompletionKind {
        named { client, _ in try await client.storagePools().map(\.name) }
    }

    /// Names of networks.
    package static var networks: CompletionKind {
        named { client, _ in try await client.networks().map(\.name) }
    }

    /// Names of remotes, for commands about them.
    package static var remotes: CompletionKind {
        .custom { _, _, _ in ((try? Remotes.load().all) ?? [:]).keys.sorted() }
    }

    /// Names of hosts, with the colon.
    package static var hosts: CompletionKind { .custom { _, _, _ in hostNames() } }

    /// What a daemon knows, of the host that stands before the colon; without one the hosts as well.
    private static func named(
        _ more: [String] = [], _ fetch: @escaping @Sendable (Client, String) async throws -> [String]
    ) -> CompletionKind {
        .custom { _, _, prefix in
            guard let colon = prefix.firstIndex(of: ":") else {
                guard let client = try? Remotes.client(of: Remotes.defaultName),
                    let names = try? await fetch(client, prefix)
                else { return more + hostNames() }
                return names + more + hostNames()
            }
            let remote = String(prefix[..<colon])
            let begun = String(prefix[prefix.index(after: colon)...])
            guard let client = try? Remotes.client(of: remote), let names = try? await fetch(client, begun)
            else { return more }
            return names.map { "\(remote):\($0)" }
        }
    }

    private static func hostNames() -> [String] {
        ((try? Remotes.load().all) ?? [:]).filter(\.value.isDaemon).keys.sorted().map { $0 + ":" }
    }
}
