import ApusAPI
import ApusCore
import Foundation
import HTTPTypes
import HummingbirdCore
import NIOCore

/// Images and their aliases.
struct ImageRoutes {
    let daemon: Daemon
    private var images: ImageService { daemon.images }

    var routes: [Route] {
        [
            Route(.get, "/1.0/images", "All images") { request in
                let list = await images.list()
                guard request.recursion == 0 else { return try Reply.sync(list) }
                return try Reply.sync(list.map { "/1.0/images/\($0.fingerprint)" })
            },
            Route(.post, "/1.0/images", "Upload an image, or have one built", handler: create),
            Route(.get, "/1.0/images/aliases", "All aliases") { request in
                let list = await images.listAliases()
                guard request.recursion == 0 else { return try Reply.sync(list) }
                return try Reply.sync(list.map { "/1.0/images/aliases/\($0.name)" })
            },
            Route(.post, "/1.0/images/aliases", "Make an alias") { request in
                let alias = try await request.json(ImageAlias.self)
                try await images.createAlias(alias)
                return try Reply.created("/1.0/images/aliases/\(alias.name)")
            },
            Route(.get, "/1.0/images/aliases/{name*}", "An alias") { request in
                try Reply.sync(try await images.alias(try request.path("name")))
            },
            Route(.put, "/1.0/images/aliases/{name*}", "Point an alias elsewhere") { request in
                try await images.updateAlias(
                    try request.path("name"), try await request.json(ImageAliasPut.self))
                return try Reply.done()
            },
            Route(.post, "/1.0/images/aliases/{name*}", "Rename an alias") { request in
                let post = try await request.json(InstancePost.self)
                try await images.renameAlias(try request.path("name"), to: post.name)
                return try Reply.created("/1.0/images/aliases/\(post.name)")
            },
            Route(.delete, "/1.0/images/aliases/{name*}", "Delete an alias") { request in
                try await images.deleteAlias(try request.path("name"))
                return try Reply.done()
            },
            Route(.get, "/1.0/images/{fingerprint}", "An image") { request in
                let fingerprint = try request.path("fingerprint")
                return try Reply.sync(
                    try await images.get(fingerprint), etag: try await images.etag(fingerprint))
            },
            Route(.put, "/1.0/images/{fingerprint}", "Change an image's properties") { request in
                try await images.update(
                    try request.path("fingerprint"), try await request.json(ImagePut.self),
                    ifMatch: request.ifMatch)
                return try Reply.done()
            },
            Route(.delete, "/1.0/images/{fingerprint}", "Delete an image") { request in
                try Reply.operation(try await images.delete(try request.path("fingerprint")))
            },
            Route(.get, "/1.0/images/{fingerprint}/export", "Download an image's file") { request in
                let file = try await images.file(try request.path("fingerprint"))
                let name = file.name.filter { $0.isASCII && !"\"\\\r\n".contains($0) }
                return try FileTransfer.download(
                    file.path,
                    headers: [
                        .contentType: "application/octet-stream",
                        .contentDisposition: "inline;filename=\(name)",
                    ])
            },
        ]
    }

    private func create(_ request: APIRequest) async throws -> HTTPReply {
        let type = request.request.headers[.contentType] ?? ""
        // LXD's clients send a file as a bare stream with headers beside it, or as application/octet-stream.
        guard type.hasPrefix("application/octet-stream") || request.header(ImageHeader.filename) != nil else {
            guard !type.hasPrefix("multipart/") else {
                throw ServiceError(
                    .notImplemented,
                    "Images in two files cannot be imported yet; join them into a unified tarball")
            }
            return try Reply.operation(try await images.create(try await request.json(ImagesPost.self)))
        }
        let upload = try images.beginUpload()
        do {
            for try await buffer in request.request.body { try upload.write(Array(buffer.readableBytesView)) }
        } catch {
            upload.cancel()
            throw error
        }
        let (_, properties) = Router.parse("/?" + (request.header(ImageHeader.properties) ?? ""))
        return try Reply.operation(
            await images.finishUpload(
                upload, filename: request.header(ImageHeader.filename) ?? "", properties: properties,
                isPublic: request.header(ImageHeader.isPublic).map { $0 == "true" || $0 == "1" } ?? false,
                expecting: request.header(ImageHeader.fingerprint)))
    }
}
