import ApusAPI
import ApusClient
package import ArgumentParser

/// Names that only the daemon knows, for the shell's completion.
extension CompletionKind {
    /// Names of containers.
    package static var containers: CompletionKind {
        .custom { _, _, _ in (try? await Client().instanceNames()) ?? [] }
    }

    /// Names of containers and, once there is a slash, of a container's snapshots.
    package static var snapshots: CompletionKind {
        .custom { _, _, prefix in
            guard let slash = prefix.firstIndex(of: "/") else {
                return (try? await Client().instanceNames()) ?? []
            }
            let container = String(prefix[..<slash])
            let snapshots = (try? await Client().snapshots(of: container)) ?? []
            return snapshots.map { "\(container)/\($0.name)" }
        }
    }

    /// Images that a container can be made from.
    package static var images: CompletionKind {
        .custom { _, _, _ in
            let images = (try? await Client().images()) ?? []
            return images.flatMap { $0.aliases.map(\.name) } + ["debian:12", "debian:13", "debian:busybox"]
        }
    }

    /// Names of profiles.
    package static var profiles: CompletionKind {
        .custom { _, _, _ in ((try? await Client().profiles()) ?? []).map(\.name) }
    }

    /// Names of storage pools.
    package static var pools: CompletionKind {
        .custom { _, _, _ in ((try? await Client().storagePools()) ?? []).map(\.name) }
    }
}
