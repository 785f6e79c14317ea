import Foundation
import Yams

/// A place that images come from.
package struct Remote: Codable, Sendable, Equatable {
    /// Its address.
    package var addr: String
    /// "simplestreams" for an image server, "debian" for what the daemon builds, "apus" for the daemon itself.
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
}

/// The places that images come from, as the client's file `config.yml` keeps them; its form is that of LXD's client.
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

    // MARK: the file

    /// The directory of the client's files: APUS_CONF, or `~/.config/apus`.
    package static var directory: String {
        let environment = ProcessInfo.processInfo.environment
        if let chosen = environment["APUS_CONF"], !chosen.isEmpty { return chosen }
        return (environment["HOME"] ?? "/root") + "/.config/apus"
    }

    private static var path: String { directory + "/config.yml" }

    /// Reads the file; what is not there is empty.
    package static func load() throws -> Remotes {
        guard let data = FileManager.default.contents(atPath: path) else { return Remotes() }
        do {
            return try YAMLDecoder().decode(Remotes.self, from: data)
        } catch {
            throw Failure("\(path) cannot be read: \(error)")
        }
    }

    /// Writes the file, whole or not at all.
    package func save() throws {
        do {
            try FileManager.default.createDirectory(
                atPath: Self.directory, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o750])
            let text = try Rendering.yaml(self)
            try Data(text.utf8).write(to: URL(filePath: Self.path), options: .atomic)
        } catch {
            throw Failure("cannot write \(Self.path): \(error.localizedDescription)")
        }
    }

    /// Where the certificate of a remote lies.
    package static func certificatePath(_ name: String) -> String { "\(directory)/servercerts/\(name).crt" }

    /// The certificate that a remote is trusted by, beside those of the system; empty if there is none.
    package static func certificate(_ name: String) -> String {
        (try? String(contentsOfFile: certificatePath(name), encoding: .utf8)) ?? ""
    }
}
