/// `remote:name`, or only `name` on this machine.
package struct ResourceName: Sendable, Hashable {
    /// The remote; "local" for the daemon on this machine.
    package let remote: String
    /// The rest, which may be empty.
    package let name: String
    /// Whether the remote was written.
    package let hasRemote: Bool

    /// The daemon on this machine.
    package static let localRemote = "local"

    /// Splits at the first colon. Without one the remote is the default one.
    package init(_ text: String) {
        if let colon = text.firstIndex(of: ":") {
            remote = colon == text.startIndex ? Self.localRemote : String(text[..<colon])
            name = String(text[text.index(after: colon)...])
            hasRemote = true
        } else {
            remote = Remotes.defaultName
            name = text
            hasRemote = false
        }
    }

    /// Refuses a name that could not be an image's alias, before anything is sent.
    static func checkAlias(_ name: String) throws {
        guard !name.isEmpty, name.utf8.count <= 200,
            name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-._/+".contains($0)) })
        else {
            throw Failure(
                "\"\(name)\" cannot be an alias: use letters, digits, \"-\", \".\", \"_\", \"+\", \"/\"")
        }
    }

    /// The name, for a command that has to do with one remote only: another one is refused.
    package func name(on remote: String) throws -> String {
        guard !hasRemote || self.remote == remote else {
            throw Failure("\"\(self.remote):\(name)\" is not on \(remote): name things of one host only")
        }
        return name
    }
}

/// A container, as the command line names it.
package struct ContainerName: Sendable, Hashable {
    package let remote: String
    package let name: String

    init(remote: String, name: String) {
        self.remote = remote
        self.name = name
    }

    /// Reads `[remote:]container`.
    package init(_ text: String) throws {
        let resource = ResourceName(text)
        let name = resource.name
        guard !name.isEmpty else { throw Failure("a container's name is missing") }
        guard !name.contains("/") else {
            throw Failure("\"\(name)\" is not the name of a container (only snapshots have a \"/\")")
        }
        self.remote = resource.remote
        self.name = name
    }
}

/// A container or one of its snapshots.
package struct SnapshotName: Sendable, Hashable {
    package let remote: String
    package let container: String
    package let snapshot: String?

    /// Reads `[remote:]container[/snapshot]`.
    package init(_ text: String) throws {
        let resource = ResourceName(text)
        let name = resource.name
        remote = resource.remote
        let parts = name.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, !first.isEmpty else { throw Failure("a container's name is missing") }
        container = String(first)
        snapshot = parts.count > 1 ? String(parts[1]) : nil
        if snapshot == "" { throw Failure("the snapshot's name is missing after \"\(name)\"") }
    }
}

/// A path inside a container.
package struct ContainerPath: Sendable, Hashable {
    package let remote: String
    package let container: String
    /// Absolute.
    package let path: String

    /// Reads `[remote:]container/path`.
    package init(_ text: String) throws {
        let resource = ResourceName(text)
        let name = resource.name
        remote = resource.remote
        guard let slash = name.firstIndex(of: "/"), slash != name.startIndex else {
            throw Failure("\"\(text)\" is not a path in a container; write CONTAINER/PATH")
        }
        container = String(name[..<slash])
        path = String(name[slash...])
    }
}

/// Where an image comes from.
package enum ImageName: Sendable, Hashable {
    /// The store of the daemon that is asked, by alias or fingerprint.
    case local(String)
    /// A Debian release (or another recipe), built by the daemon from the machine's own package mirror.
    case debian(String)
    /// An image server or another daemon, by the remote's name, and the image's name there.
    case server(String, String)

    /// Reads `alias`, `fingerprint`, `remote:alias` or `debian:release`, for a command to the daemon of a remote.
    package init(_ text: String, for remote: String = Remotes.defaultName) throws {
        let resource = ResourceName(text)
        guard !resource.name.isEmpty else { throw Failure("an image's name is missing in \"\(text)\"") }
        switch resource.remote {
        case _ where !resource.hasRemote: self = .local(resource.name)
        case "debian": self = .debian(resource.name)
        case remote: self = .local(resource.name)
        default: self = .server(resource.remote, resource.name)
        }
    }
}
