import ApusAPI
import ApusCore
import HTTPTypes
import HummingbirdCore

/// What a container has from its image beside its files.
struct MetadataRoutes {
    let daemon: Daemon
    private var containers: ContainerService { daemon.containers }

    var routes: [Route] {
        [
            Route(.get, "/1.0/instances/{name}/metadata", "A container's metadata, from its image") {
                request in
                let metadata = try await containers.metadata(try request.path("name"))
                return try Reply.sync(metadata, etag: try ETag.of(metadata))
            },
            Route(.put, "/1.0/instances/{name}/metadata", "Replace a container's metadata") { request in
                try await containers.setMetadata(
                    try request.path("name"), try await request.json(InstanceMetadata.self),
                    ifMatch: request.ifMatch)
                return try Reply.done()
            },
            Route(
                .get, "/1.0/instances/{name}/metadata/templates",
                "The names of a container's templates; with `path` the text of one"
            ) { request in
                let name = try request.path("name")
                guard let template = request.query["path"] else {
                    return try Reply.sync(await containers.templates(name))
                }
                return Reply.bytes(try await containers.template(template, of: name))
            },
            Route(
                .post, "/1.0/instances/{name}/metadata/templates",
                "Make a template, or replace it: `path` is its name, the body its text"
            ) { request in
                let body = try await request.body(limit: ContainerService.largestTemplate)
                try await containers.setTemplate(
                    try template(request), Array(body), of: try request.path("name"))
                return try Reply.done()
            },
            Route(
                .delete, "/1.0/instances/{name}/metadata/templates", "Remove a template: `path` is its name"
            ) { request in
                try await containers.removeTemplate(try template(request), of: try request.path("name"))
                return try Reply.done()
            },
        ]
    }

    private func template(_ request: APIRequest) throws -> String {
        guard let template = request.query["path"] else {
            throw ServiceError.badRequest("Say which template, as path=NAME")
        }
        return template
    }
}
