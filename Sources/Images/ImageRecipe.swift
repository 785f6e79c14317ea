import Glibc
import LinuxSystem

/// An image this machine can build itself: a release of Debian, or a small busybox system.
public struct ImageRecipe: Sendable, Hashable {
    enum Kind: Hashable {
        case debian(DebianRelease)
        case busybox
    }

    let kind: Kind

    /// Finds a recipe by alias: `12`, `bookworm`, `debian/12`, `testing`, `busybox`.
    public init(alias: String) throws {
        let name = alias.hasPrefix("debian/") ? String(alias.dropFirst(7)) : alias
        if name == "busybox" {
            kind = .busybox
        } else if let release = DebianRelease(name) {
            kind = .debian(release)
        } else {
            let known = (DebianRelease.allNames + ["busybox"]).joined(separator: ", ")
            throw ImageError(
                .notFound, "\"\(alias)\" is no image that can be built here. There are: \(known)")
        }
    }

    /// One name for all aliases of the same image: `debian/12`, `busybox`.
    public var name: String {
        switch kind {
        case .debian(let release): "debian/\(release.name)"
        case .busybox: "busybox"
        }
    }

    /// All aliases that mean this image.
    public var aliases: [String] {
        switch kind {
        case .debian(let release): release.names + release.names.map { "debian/\($0)" }
        case .busybox: ["busybox"]
        }
    }

    /// The properties the image will have, but for its date.
    public var properties: [String: String] {
        var result = ["architecture": ImageArchitecture.debian]
        switch kind {
        case .debian(let release):
            result["os"] = "Debian"
            result["release"] = release.suite
            result["variant"] = "default"
            if let version = release.version { result["version"] = version }
            result["description"] =
                "Debian \(release.names.joined(separator: " ")) \(ImageArchitecture.debian)"
        case .busybox:
            result["os"] = "BusyBox"
            result["description"] = "BusyBox \(ImageArchitecture.debian)"
        }
        return result
    }

    /// Builds the image in a directory, and returns the path of the tarball. On failure, and when the task is
    /// cancelled, nothing is left of it.
    public func build(
        in directory: String, progress: @escaping @Sendable (BuildProgress) -> Void
    ) async throws -> String {
        let path = "\(directory)/build-\(String(UInt64.random(in: .min ... .max), radix: 16)).tar.zst"
        do {
            try Files.makeDirectories(directory, mode: 0o700)
            switch kind {
            case .debian(let release):
                try await DebianImageBuilder(release: release, recipe: self).build(path, progress: progress)
            case .busybox:
                try await BusyboxImageBuilder(recipe: self).build(path, progress: progress)
            }
        } catch {
            unlink(path)
            throw error
        }
        return path
    }

    /// What the image will say of itself.
    func metadata(templates: [String: ImageMetadata.Template]) -> ImageMetadata {
        let now = time(nil)
        var parts = tm()
        var moment = now
        gmtime_r(&moment, &parts)
        var all = properties
        let serial = [
            String(parts.tm_year + 1900), Self.twoDigits(parts.tm_mon + 1), Self.twoDigits(parts.tm_mday),
            "_",
            Self.twoDigits(parts.tm_hour), ":", Self.twoDigits(parts.tm_min),
        ].joined()
        all["serial"] = serial
        all["description"] = "\(properties["description"] ?? "") (\(serial))"
        return ImageMetadata(
            architecture: ImageArchitecture.current, creationDate: Int64(now), properties: all,
            templates: templates)
    }

    private static func twoDigits(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
