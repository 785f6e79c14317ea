public import ApusAPI
import Images
import LinuxSystem
import Logging

extension ImageService {
    /// Where an image comes from that is not in the store yet.
    func server(_ source: ImageSource) throws -> ImageServer {
        try ImageServer(
            address: source.server, certificate: source.certificate, proxy: context.config["core.proxy_https"]
        )
    }

    /// The images that a server of simplestreams offers for this machine.
    public func remoteImages(_ address: String, certificate: String) async throws -> [Image] {
        var source = ImageSource()
        source.server = address
        source.certificate = certificate
        return try await server(source).images().map { offered in
            var image = Image()
            image.fingerprint = offered.fingerprint
            image.aliases = offered.aliases.map { ImageAliasName(name: $0) }
            image.architecture = offered.architecture
            image.properties = offered.properties
            image.size = offered.size
            image.public = true
            image.createdAt = Timestamp(seconds: offered.created)
            image.uploadedAt = image.createdAt
            return image
        }
    }

    /// The image of a server that a name means: from the store if it was fetched before, else from there. Two who want
    /// the same one share a download.
    func fetch(_ source: ImageSource, _ handle: OperationHandle?) async throws -> ImageRecord {
        let wanted = source.alias.isEmpty ? source.fingerprint : source.alias
        if !source.fingerprint.isEmpty, let known = images[source.fingerprint] { return known }
        let known = images.values.filter {
            $0.source?.protocol == source.protocol && $0.source?.server == source.server
                && $0.source?.alias == wanted
        }
        // The timer keeps it up to date.
        if let newest = known.max(by: { $0.uploadedAt < $1.uploadedAt }) { return newest }
        let key = "\(source.server) \(wanted)"
        if let running = builds[key] {
            handle?.progress("Waiting for the image to be downloaded")
            return try await running.value
        }
        let task = Task { try await self.fetchNow(source, wanted, handle) }
        builds[key] = task
        defer { builds[key] = nil }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }

    private func fetchNow(
        _ source: ImageSource, _ wanted: String, _ handle: OperationHandle?
    ) async throws -> ImageRecord {
        if source.protocol == "lxd" { return try await fetchFromDaemon(source, handle) }
        let server = try server(source)
        handle?.progress("Looking for the image")
        let offered = try await server.find(wanted)
        if let known = images[offered.fingerprint] { return known }
        let stored = try await download(offered, from: server, handle)
        var record = record(of: offered, stored)
        record.source = source
        record.source?.type = "image"
        record.source?.mode = "pull"
        record.source?.alias = wanted
        record.source?.fingerprint = ""
        record.cached = true
        try add(record)
        reschedule()
        return record
    }

    func download(
        _ offered: RemoteImage, from server: ImageServer, _ handle: OperationHandle?
    ) async throws -> StoredImage {
        var progress = OperationProgress(stage: "Downloading the image", percent: 0)
        progress.bytesTotal = offered.size
        let initial = progress
        return try await server.fetch(offered, into: store) { done in
            var now = initial
            now.bytesDone = done
            now.percent = Int(done * 100 / max(1, offered.size))
            handle?.progress(now)
        }
    }

    func record(of offered: RemoteImage, _ stored: StoredImage) -> ImageRecord {
        var record = ImageRecord(
            stored, filename: offered.files.first?.path.split(separator: "/").last.map(String.init) ?? "")
        record.size = offered.size
        record.properties.merge(offered.properties) { _, new in new }
        return record
    }
}
