import ApusAPI
import ApusCore
import HTTPTypes
import HummingbirdCore

/// Projects, for clients that know them: there is one, and everything is in it.
struct ProjectRoutes {
    /// Its name.
    static let name = "default"

    let daemon: Daemon

    var routes: [Route] {
        [
            Route(.get, "/1.0/projects", "All projects: \"default\"") { request in
                guard request.recursion > 0 else { return try Reply.sync(["/1.0/projects/\(Self.name)"]) }
                return try Reply.sync([await project()])
            },
            Route(.get, "/1.0/projects/{name}", "A project") { request in
                let name = try request.path("name")
                guard name == Self.name else {
                    throw ServiceError.notFound(
                        "Project not found: \"\(name)\"; there is \"\(Self.name)\" alone")
                }
                return try Reply.sync(await project())
            },
        ]
    }

    private func project() async -> Project {
        let features = ["images", "networks", "profiles", "storage.volumes"]
        return Project(
            name: Self.name, description: "Everything there is",
            config: Dictionary(uniqueKeysWithValues: features.map { ("features.\($0)", "true") }),
            usedBy: await containers + profiles + images)
    }

    private var containers: [String] {
        get async { await daemon.containers.names().map { "/1.0/instances/\($0)" } }
    }
    private var profiles: [String] { daemon.profiles.list().map { "/1.0/profiles/\($0.name)" } }
    private var images: [String] {
        get async { await daemon.images.list().map { "/1.0/images/\($0.fingerprint)" } }
    }
}
