public import ApusAPI
import Images
import Logging

/// What happens to images by itself: newer versions are fetched, and what nobody uses any more goes.
extension ImageService {
    /// Fetches the newest version of an image from where it came from; containers keep what they have. The aliases move
    /// on, and the former version goes.
    public func refresh(_ fingerprint: String) throws -> ApusAPI.Operation {
        let record = try find(fingerprint)
        guard let source = record.source, ["simplestreams", "debian"].contains(source.protocol) else {
            throw ServiceError.badRequest(
                "Image \(record.fingerprint.prefix(12)) did not come from an image server, so there is nothing to "
                    + "refresh it from")
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
        if source.protocol == "debian" {
            new = try await rebuild(source.alias, handle)
        } else {
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

    private func isKeptUpToDate(_ image: ImageRecord) -> Bool {
        guard image.source?.protocol == "simplestreams" else {
            // Building anew is work: only where it was asked for.
            return image.autoUpdate && image.source?.protocol == "debian"
        }
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
