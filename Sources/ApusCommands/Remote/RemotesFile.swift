import Certificates
import Foundation
import Yams

/// Where the client keeps its remotes and certificates.
extension Remotes {
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

    /// Where names without a remote are looked up. Every command asks, so only this line of the file is read.
    package static let defaultName: String = {
        guard let data = FileManager.default.contents(atPath: path) else { return ResourceName.localRemote }
        return defaultName(in: String(decoding: data, as: UTF8.self))
    }()

    package static func defaultName(in text: String) -> String {
        let key = "default-remote:"
        guard let line = text.split(whereSeparator: \.isNewline).first(where: { $0.hasPrefix(key) }) else {
            return ResourceName.localRemote
        }
        let value = line.dropFirst(key.count).filter { !" \"'".contains($0) }
        return value.isEmpty ? ResourceName.localRemote : String(value)
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

    /// The certificate of a remote as PEM: of a daemon the one it is known by; of an image server one that it is trusted
    /// by, beside those of the system. Empty if there is none.
    package static func certificate(_ name: String) -> String {
        (try? String(contentsOfFile: certificatePath(name), encoding: .utf8)) ?? ""
    }

    /// Keeps the certificate of a remote.
    static func saveCertificate(_ data: Data, of name: String) throws {
        let path = certificatePath(name)
        do {
            try FileManager.default.createDirectory(
                atPath: PathText.parent(path), withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o750])
            try data.write(to: URL(filePath: path), options: .atomic)
        } catch {
            throw Failure("cannot write \(path): \(error.localizedDescription)")
        }
    }

    /// Forgets the certificate of a remote.
    static func removeCertificate(of name: String) {
        try? FileManager.default.removeItem(atPath: certificatePath(name))
    }

    /// What this client shows to daemons: the files client.crt and client.key, made when they are first wanted.
    static func identity() throws -> Identity {
        do {
            return try Identity.loadOrMake(.client, in: directory, commonName: ownName)
        } catch let error as CertificateError {
            throw Failure(error.message)
        } catch {
            throw Failure("cannot make this client's certificate in \(directory): \(error)")
        }
    }

    /// The user and the machine, as daemons list this client.
    private static var ownName: String {
        let user = ProcessInfo.processInfo.userName
        return "\(user.isEmpty ? "user" : user)@\(ProcessInfo.processInfo.hostName)"
    }
}
