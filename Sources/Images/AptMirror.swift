import LinuxSystem

/// The Debian mirrors this machine's own apt is set up with.
public struct AptMirror: Sendable, Hashable {
    /// The archive of packages.
    public let archive: String
    /// The archive of security updates, if the machine uses one.
    public let security: String?
    /// Whether the machine takes the updates of a stable release before its next point release.
    public let hasUpdates: Bool

    /// Mirrors known otherwise.
    public init(archive: String, security: String?, hasUpdates: Bool) {
        self.archive = archive
        self.security = security
        self.hasUpdates = hasUpdates
    }

    /// What apt is asked to print for each of its sources.
    static let format = "$(REPO_URI)|$(RELEASE)|$(ORIGIN)"

    /// Finds the mirrors in the lines apt prints.
    public init?(targets: String) {
        var archive: String?
        var security: String?
        var hasUpdates = false
        for line in targets.split(separator: "\n") {
            let fields = line.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 3, !fields[0].isEmpty else { continue }
            // Other people's archives are not mirrors of Debian. apt does not know before its first update.
            if !fields[2].isEmpty && fields[2] != "Debian" && !fields[2].hasPrefix("$(") { continue }
            if fields[1].hasSuffix("-security") || fields[1].hasSuffix("/updates") {
                security = security ?? fields[0]
            } else if fields[1].hasSuffix("-updates") {
                hasUpdates = true
            } else if !fields[1].contains("-") {
                archive = archive ?? fields[0]
            }
        }
        guard let archive else { return nil }
        self.init(archive: archive, security: security, hasUpdates: hasUpdates)
    }

    /// Asks this machine's apt.
    public static func ofThisMachine() async throws -> AptMirror {
        let output: HelperOutput
        do {
            output = try await HelperProgram.succeed([
                "apt-get", "indextargets", "--format", format, "Created-By: Packages",
            ])
        } catch {
            throw ImageError(.buildFailed, "cannot ask apt for this machine's Debian mirror: \(error)")
        }
        guard let mirror = AptMirror(targets: output.text) else {
            throw ImageError(
                .buildFailed,
                "cannot build a Debian image: this machine's apt has no Debian mirror in its sources. Add one, or import an image"
            )
        }
        return mirror
    }

    /// The lines of `sources.list` for a release.
    public func sources(for release: DebianRelease) -> [String] {
        var lines = ["deb \(archive) \(release.suite) main"]
        if release.isStable {
            if hasUpdates { lines.append("deb \(archive) \(release.suite)-updates main") }
            if let security { lines.append("deb \(security) \(release.suite)-security main") }
        }
        return lines
    }
}
