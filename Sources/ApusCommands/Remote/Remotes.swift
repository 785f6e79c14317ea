import Certificates
import Foundation
import Yams

/// A daemon, or a place that images come from.
package struct Remote: Codable, Sendable, Equatable {
    /// Its address.
    package var addr: String
    /// "apus" or "lxd" for a daemon, "simplestreams" for an image server, "debian" for what the daemon builds.
    package var `protocol`: String
    /// Whether everybody may read it.
    package var `public`: Bool
    /// Whether it came with the program and cannot be removed.
    package var isStatic = false

    enum CodingKeys: String, CodingKey {
        case addr
        case `protocol` = "protocol"
        case `public` = "public"
    }

    package init(addr: String, protocol: String, public: Bool, isStatic: Bool = false) {
        self.addr = addr
        self.protocol = `protocol`
        self.public = `public`
        self.isStatic = isStatic
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        addr = try container.decode(String.self, forKey: .addr)
        self.protocol = try container.decodeIfPresent(String.self, forKey: .protocol) ?? "simplestreams"
        self.public = try container.decodeIfPresent(Bool.self, forKey: .public) ?? true
    }

    /// Whether it is a daemon: it has containers, not only images.
    package var isDaemon: Bool { self.protocol == "apus" || self.protocol == "lxd" }
}

/// The hosts and image servers that the client knows, as its file `config.yml` keeps them; its form is that of LXD's
/// client.
package struct Remotes: Codable, Sendable, Equatable {
    /// Where names without a remote are looked up.
    package var defaultRemote: String
    /// Those that users added, by name.
    package var remotes: [String: Remote]

    enum CodingKeys: String, CodingKey {
        case defaultRemote = "default-remote"
        case remotes
    }

    package init() {
        defaultRemote = ResourceName.localRemote
        remotes = [:]
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        defaultRemote =
            try container.decodeIfPresent(String.self, forKey: .defaultRemote) ?? ResourceName.localRemote
        remotes = try container.decodeIfPresent([String: Remote].self, forKey: .remotes) ?? [:]
    }

    /// What every client knows.
    package static let known: [String: Remote] = [
        "local": Remote(addr: "unix://", protocol: "apus", public: false, isStatic: true),
        "debian": Remote(addr: "built by the daemon", protocol: "debian", public: true, isStatic: true),
        "images": Remote(
            addr: "https://images.linuxcontainers.org", protocol: "simplestreams", public: true,
            isStatic: true),
        "ubuntu": Remote(
            addr: "https://cloud-images.ubuntu.com/releases", protocol: "simplestreams", public: true,
            isStatic: true),
    ]

    /// All, by name. A user's own goes before one that came with the program.
    package var all: [String: Remote] { Self.known.merging(remotes) { $1 } }

    /// A remote by name.
    package func find(_ name: String) throws -> Remote {
        guard let remote = all[name] else {
            throw Failure("there is no remote \"\(name)\"; see: apus remote list")
        }
        return remote
    }

    /// A remote that is an image server.
    package func imageServer(_ name: String) throws -> Remote {
        let remote = try find(name)
        guard remote.protocol == "simplestreams" else {
            throw Failure("\"\(name)\" is not an image server")
        }
        return remote
    }

    /// Refuses a name that a remote has already.
    package func checkFree(_ name: String) throws {
        guard all[name] == nil else { throw Failure("there is a remote \"\(name)\" already") }
    }

    /// Takes out a remote that can be changed; refuses one that came with the program.
    package mutating func take(_ name: String, to change: String) throws -> Remote {
        _ = try find(name)
        guard let remote = remotes.removeValue(forKey: name) else {
            throw Failure("the remote \"\(name)\" came with the program and cannot be \(change)")
        }
        return remote
    }
}
