import ApusAPI
import ApusClient
package import ArgumentParser

/// The containers that a verb is for: those that are named, or all that it makes sense for.
package struct ContainerSelection: ParsableArguments {
    @Argument(help: ArgumentHelp("The containers.", valueName: "container"), completion: .containers)
    package var containers: [String] = []

    @Flag(name: .long, help: "Do it to all containers that are not in the wanted state already.")
    package var all = false

    package init() {}

    package func validate() throws {
        if all && !containers.isEmpty {
            throw ValidationError("--all and names of containers exclude each other.")
        }
        if !all && containers.isEmpty { throw ValidationError("Name the containers, or use --all.") }
    }

    /// Their names.
    /// - Parameter states: in which of them `--all` takes a container of the default host.
    func names(_ global: GlobalOptions, in states: Set<StatusCode>) async throws -> [ContainerName] {
        guard all else { return try containers.map { try ContainerName($0) } }
        let session = try global.session(of: nil)
        let codes = Set(states.map(\.rawValue))
        return try await session.client.instances(recursion: 1).filter { codes.contains($0.statusCode) }
            .map(\.name).sorted { $0.sortsNaturally(before: $1) }
            .map { ContainerName(remote: session.remote, name: $0) }
    }
}
