public import ApusAPI
import Images
import Logging

/// What happens to images by itself: newer versions are fetched, and what nobody uses any more goes.
extension ImageService {
    /// Fetches the newest version of an image from where it came from; containers keep what they have. The aliases move
    /// on, and the former version goes.
    public func refresh(_ fingerprint: String) throws -> ApusAPI.Operation {
        let record = try find(fingerprint)
        guard let source = record.source, canBeNewer(source) else {
            throw ServiceError.badRequest(
                "Image \(record.fingerprint.prefix(12)) did not come from an image server, nor by its alias from the "
                    + "public images of another daemon, so there is nothing to refresh it from")
        }
        return context.operations.start(
            "Refreshing image", resources: ["images": [record.fingerprint]], mayCancel: true
        ) { handle in
            let new = try await self.update(record, handle)
            return ["refreshed": .bool(new != nil), "fingerprint": .string(new ?? record.fingerprint)]
        }
    }

    /// Puts the newest version in an image's place. Nil: it is the newest.
    private func update(_ old: ImageRecord, _ handle: OperationHandle?) async throws -> String? {
        guard let source = old.source else { return nil }
        var new: ImageRecord
        switch source.protocol {
        case "debian":
            new = try await rebuild(source.alias, handle)
        case "lxd":
            var named = source
            named.fingerprint = ""
            new = try await fetchFromDaemon(named, handle)
        default:
            let server = try server(source)
            let offered = try await server.find(source.alias)
            guard offered.fingerprint != old.fingerprint else { return nil }
            if let known = images[offered.fingerprint] {
                new = known
            } else {
                new = record(of: offered, try await download(offered, from: server, handle))
            }
        }
        guard new.fingerprint != old.fingerprint else { return nil }
        new.source = source
        new.cached = old.cached
        new.autoUpdate = old.autoUpdate
        new.isPublic = old.isPublic
        new.lastUsedAt = old.lastUsedAt
        try add(new)
        for alias in aliases.values where alias.target == old.fingerprint {
            try setAlias(
                ImageAlias(name: alias.name, target: new.fingerprint, description: alias.description))
        }
        if images[old.fingerprint] != nil { try await deleteNow(old.fingerprint) }
        context.logger.notice(
            "a newer version of an image is here",
            metadata: [
                "image": "\(new.fingerprint.prefix(12))", "source": "\(source.server) \(source.alias)",
            ])
        return new.fingerprint
    }

    /// Sets the timer for the next thing to do anew. It sleeps until then, and not at all if there is nothing.
    /// - Parameter pause: seconds to wait in any case; what could not be done is not tried again and again.
    func reschedule(pause: Int64 = 0) {
        // What is under way now is not to be cancelled; it sets the timer when it ends.
        guard !isAtUpkeep else { return }
        upkeep?.cancel()
        upkeep = nil
        guard let next = nextUpkeep() else { return }
        upkeep = Task { [weak self] in
            let wait = max(pause, next - Timestamp.now().seconds)
            // A minute more or less is nothing to what takes hours; what is due already is not put off.
            if wait > 0 { try await Task.sleep(for: .seconds(wait), tolerance: .seconds(min(60, wait))) }
            await self?.doUpkeep()
        }
    }

    /// When something is due, in seconds since 1970.
    func nextUpkeep() -> Int64? {
        var times = images.values.compactMap(expiry)
        if let interval = updateInterval, images.values.contains(where: isKeptUpToDate) {
            times.append(lastUpdate + interval)
        }
        return times.min()
    }

    private var updateInterval: Int64? {
        Int64(context.config["images.auto_update_interval"]).flatMap { $0 > 0 ? $0 * 3600 : nil }
    }

    /// When an image goes by itself: what was fetched for containers and not used for a while, and what was made to.
    func expiry(_ image: ImageRecord) -> Int64? {
        guard image.cached, !builds.keys.contains(image.source?.alias ?? " "),
            let days = Int64(context.config["images.remote_cache_expiry"]), days > 0
        else { return nil }
        return max(image.lastUsedAt.seconds, image.uploadedAt.seconds) + days * 86_400
    }

    /// Whether there can be a newer image where one came from: a daemon is asked again by the alias, without a secret.
    func canBeNewer(_ source: ImageSource) -> Bool {
        switch source.protocol {
        case "simplestreams", "debian": true
        case "lxd": !source.alias.isEmpty
        default: false
        }
    }

    private func isKeptUpToDate(_ image: ImageRecord) -> Bool {
        guard let source = image.source, canBeNewer(source) else { return false }
        // Building anew is work: only where it was asked for.
        guard source.protocol != "debian" else { return image.autoUpdate }
        let cached = ConfigValues.bool(context.config["images.auto_update_cached"]) ?? true
        return image.autoUpdate || (image.cached && cached)
    }

    /// Takes note that newer versions are looked for now: a daemon that starts later goes on counting from here.
    private func noteUpdate() {
        lastUpdate = Timestamp.now().seconds
        do {
            try context.store.setServerValue(Self.lastUpdateKey, String(lastUpdate))
        } catch {
            context.logger.error("cannot write the database", metadata: ["error": "\(error)"])
        }
    }

    private func doUpkeep() async {
        guard !Task.isCancelled else { return }
        isAtUpkeep = true
        await prune(now: Timestamp.now().seconds)
        if let interval = updateInterval, lastUpdate + interval <= Timestamp.now().seconds {
            noteUpdate()
            for image in images.values where isKeptUpToDate(image) {
                do {
                    _ = try await update(image, nil)
                } catch {
                    context.logger.warning(
                        "cannot look for a newer version of an image",
                        metadata: [
                            "image": "\(image.fingerprint.prefix(12))",
                            "error": "\(ServiceError.text(of: error))",
                        ])
                }
            }
        }
        isAtUpkeep = false
        reschedule(pause: 60)
    }

    /// Deletes what has expired.
    public func prune(now: Int64) async {
        for image in images.values {
            guard let time = expiry(image), time <= now else { continue }
            do {
                try await deleteNow(image.fingerprint)
                context.logger.info(
                    "an image that no container was made from for long is deleted",
                    metadata: ["image": "\(image.fingerprint.prefix(12))"])
            } catch {
                context.logger.warning(
                    "cannot delete an expired image",
                    metadata: ["image": "\(image.fingerprint.prefix(12))", "error": "\(error)"])
            }
        }
    }
}
