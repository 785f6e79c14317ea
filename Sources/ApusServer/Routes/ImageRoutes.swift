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
            Route(
                .get, "/1.0/images",
                "All images, to strangers the public ones; with `apus_server` those that an image server offers",
                access: .anyone
            ) { request in
                let list = try request.filtered(try await list(request))
                guard request.recursion == 0 else { return try Reply.sync(list) }
                return try Reply.sync(list.map { "/1.0/images/\($0.fingerprint)" })
            },
            Route(
                .post, "/1.0/images", "Upload an image, fetch one, have one built, or publish a container",
                handler: create),
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
            Route(
                .get, "/1.0/images/aliases/{name*}", "An alias; to strangers that of a public image",
                access: .anyone
            ) { request in
                let name = try request.path("name")
                guard request.requester.isTrusted else {
                    return try Reply.sync(await images.publicAlias(name))
                }
                return try Reply.sync(try await images.alias(name), etag: try await images.aliasTag(name))
            },
            Route(.put, "/1.0/images/aliases/{name*}", "Point an alias elsewhere") { request in
                try await images.updateAlias(
                    try request.path("name"), try await request.json(ImageAliasPut.self),
                    ifMatch: request.ifMatch)
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
            Route(
                .get, "/1.0/images/{fingerprint}",
                "An image; to strangers one that is public, or with its `secret`", access: .anyone
            ) { request in
                let fingerprint = try request.path("fingerprint")
                guard request.requester.isTrusted else {
                    return try Reply.sync(
                        try await images.get(fingerprint, secret: request.query["secret"] ?? ""))
                }
                return try Reply.sync(
                    try await images.get(fingerprint), etag: try await images.etag(fingerprint))
            },
            Route(.put, "/1.0/images/{fingerprint}", "Change an image's properties") { request in
                try await images.update(
                    try request.path("fingerprint"), try await request.json(ImagePut.self),
                    ifMatch: request.ifMatch)
                return try Reply.done()
            },
            Route(.patch, "/1.0/images/{fingerprint}", "Change some of an image's properties") { request in
                try await images.patch(
                    try request.path("fingerprint"), try await request.json(ImagePatch.self),
                    ifMatch: request.ifMatch)
                return try Reply.done()
            },
            Route(.post, "/1.0/images/{fingerprint}/refresh", "Fetch an image's newest version") { request in
                try Reply.operation(try await images.refresh(try request.path("fingerprint")))
            },
            Route(
                .post, "/1.0/images/{fingerprint}/secret",
                "Make a secret with which a stranger can download an image once"
            ) { request in
                try Reply.operation(try await images.makeSecret(try request.path("fingerprint")))
            },
            Route(.delete, "/1.0/images/{fingerprint}", "Delete an image") { request in
                try Reply.operation(try await images.delete(try request.path("fingerprint")))
            },
            Route(
                .get, "/1.0/images/{fingerprint}/export",
                "Download an image's file or files; strangers a public one, or with its `secret`",
                access: .anyone
            ) { request in
                let files = try await files(request).map { file in
                    (file.path, file.name.filter { $0.isASCII && !"\"\\\r\n".contains($0) })
                }
                if files.count == 2 {
                    return try FileTransfer.download(parts: [("metadata", files[0]), ("rootfs", files[1])])
                }
                let (path, name) = files[0]
                return try FileTransfer.download(
                    path,
                    headers: [
                        .contentType: "application/octet-stream",
                        .contentDisposition: "inline;filename=\(name)",
                    ])
            },
        ]
    }

    private func files(_ request: APIRequest) async throws -> [(path: String, name: String)] {
        let fingerprint = try request.path("fingerprint")
        guard request.requester.isTrusted else {
            return try await images.files(fingerprint, secret: request.query["secret"] ?? "")
        }
        return try await images.files(fingerprint)
    }

    /// The images of the store, or those of a server.
    private func list(_ request: APIRequest) async throws -> [Image] {
        guard request.requester.isTrusted else { return await images.publicImages() }
        guard let server = request.query["apus_server"] else { return await images.list() }
        let certificate = request.header(ImageHeader.certificate)?.removingPercentEncoding ?? ""
        return try await images.remoteImages(server, certificate: certificate)
    }

    private func create(_ request: APIRequest) async throws -> HTTPReply {
        let type = request.request.headers[.contentType] ?? ""
        let isSplit = type.lowercased().hasPrefix("multipart/")
        // LXD's clients send a file as a bare stream with headers beside it, or as application/octet-stream.
        guard
            isSplit || type.hasPrefix("application/octet-stream")
                || request.header(ImageHeader.filename) != nil
        else {
            let post = try await request.json(ImagesPost.self)
            if ["container", "instance", "snapshot"].contains(post.source?.type) {
                return try Reply.operation(try await daemon.containers.publish(post))
            }
            return try Reply.operation(try await images.create(post))
        }
        let upload = try images.beginUpload()
        do {
            if isSplit {
                try await takeParts(of: request, boundary: MultipartParser.boundary(in: type), upload)
            } else {
                for try await buffer in request.request.body {
                    try upload.write(Array(buffer.readableBytesView))
                }
            }
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

    /// Takes an image in two files: the metadata, then the root file system.
    private func takeParts(of request: APIRequest, boundary: String?, _ upload: ImageUpload) async throws {
        guard let boundary else { throw ServiceError.badRequest("The multipart body has no boundary") }
        var parser = MultipartParser(boundary: boundary)
        var expected = ["metadata", "rootfs"]
        for try await buffer in request.request.body {
            let events: [MultipartParser.Event]
            do {
                events = try parser.take(Array(buffer.readableBytesView))
            } catch let error as MultipartError {
                throw ServiceError.badRequest(error.description)
            }
            for event in events {
                switch event {
                case .part(let name, _):
                    guard name == expected.first else {
                        throw ServiceError.badRequest(
                            "An image in two files has a part \"metadata\", then one \"rootfs\"; here is \"\(name)\""
                        )
                    }
                    expected.removeFirst()
                    if name == "rootfs" { try upload.beginRoot() }
                case .bytes(let bytes): try upload.write(bytes)
                }
            }
        }
        guard parser.hasEnded, expected.isEmpty else {
            throw ServiceError.badRequest(
                "The multipart body is not whole, or has no \(expected.first ?? "end")")
        }
    }
}
