import AsyncHTTPClient
import Crypto
import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOSSL

/// A server of images that speaks simplestreams over HTTPS.
public struct ImageServer: Sendable {
    /// Its address, such as `https://images.example.org`.
    public let address: String
    private let certificate: String
    private let proxy: String

    /// The longest list of products that is read.
    private static let longestList = 128 << 20
    /// How often a download that breaks off is taken up again, when nothing came in between.
    private static let patience = 4

    /// A server.
    /// - Parameters:
    ///   - certificate: certificates in PEM that are trusted beside those of the system; may be empty.
    ///   - proxy: the address of a proxy, such as `http://proxy:3128`; may be empty.
    public init(address: String, certificate: String = "", proxy: String = "") throws {
        var address = address
        while address.hasSuffix("/") { address.removeLast() }
        guard address.hasPrefix("https://"), address.utf8.count > 8, !address.contains(where: \.isWhitespace)
        else {
            throw ImageError(
                .invalid,
                "\"\(address)\" is not the address of an image server: it has to begin with https://")
        }
        self.address = address
        self.certificate = certificate
        self.proxy = proxy
    }

    /// The images that it offers for this machine.
    public func images() async throws -> [RemoteImage] {
        try await withClient { client in
            let index = try await decode(StreamsIndex.self, "streams/v1/index.json", client)
            var images: [RemoteImage] = []
            for path in index.productPaths {
                images += try await decode(StreamsProducts.self, path, client).images()
            }
            return images
        }
    }

    /// The image that a name means: an alias, a fingerprint, or the beginning of one.
    public func find(_ name: String) async throws -> RemoteImage {
        let images = try await images()
        if let image = images.first(where: { $0.aliases.contains(name) }) { return image }
        let wanted = name.lowercased()
        let matches = wanted.utf8.count >= 8 ? images.filter { $0.fingerprint.hasPrefix(wanted) } : []
        guard let image = matches.first else {
            throw ImageError(.notFound, "\(address) has no image \"\(name)\" for this machine")
        }
        return image
    }

    /// Fetches an image into a store. Its files have to sum up to what the server's list says; on failure nothing is
    /// left.
    public func fetch(
        _ image: RemoteImage, into store: ImageStore, progress: @escaping @Sendable (Int64) -> Void
    ) async throws -> StoredImage {
        let incoming = try store.beginImport()
        do {
            try await withClient { client in
                var done: Int64 = 0
                for (index, file) in image.files.enumerated() {
                    if index > 0 { try incoming.beginRoot() }
                    let before = done
                    try await download(file, client) { bytes, total in
                        try bytes.withUnsafeReadableBytes { try incoming.write($0) }
                        progress(before + total)
                    }
                    done += file.size
                }
            }
            return try await incoming.finish(expecting: image.fingerprint)
        } catch {
            incoming.cancel()
            throw error
        }
    }

    /// Fetches a file, and goes on where it broke off if the connection does.
    private func download(
        _ file: RemoteImage.File, _ client: HTTPClient, _ take: (ByteBuffer, _ total: Int64) throws -> Void
    ) async throws {
        var hash = SHA256()
        var received: Int64 = 0
        var attempts = 0
        while received < file.size {
            let before = received
            do {
                var request = HTTPClientRequest(url: url(file.path))
                if received > 0 { request.headers.add(name: "Range", value: "bytes=\(received)-") }
                let response = try await client.execute(request, deadline: .distantFuture)
                // A server that does not know ranges sends all of it again.
                var skip = received > 0 && response.status == .ok ? received : 0
                try Self.check(response.status, url(file.path))
                for try await var part in response.body {
                    let known = min(Int64(part.readableBytes), skip)
                    part.moveReaderIndex(forwardBy: Int(known))
                    skip -= known
                    guard part.readableBytes > 0 else { continue }
                    received += Int64(part.readableBytes)
                    guard received <= file.size else {
                        throw ImageError(.invalid, "\(url(file.path)) is longer than its server says")
                    }
                    part.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
                    try take(part, received)
                }
                guard received < file.size else { break }
                throw ImageError(.invalid, "\(url(file.path)) ended after \(received) of \(file.size) bytes")
            } catch let error where Self.mayPass(error) {
                try Task.checkCancellation()
                attempts = received > before ? 1 : attempts + 1
                guard attempts <= Self.patience else { throw failure(file.path, error) }
                // Servers and networks that have a moment's trouble get a moment.
                try await Task.sleep(for: .milliseconds(200 << attempts))
            }
        }
        let sum = Fingerprint.hex(hash.finalize())
        guard sum == file.sha256 else {
            throw ImageError(
                .fingerprintMismatch,
                "\(url(file.path)) sums up to \(sum), but its server's list says \(file.sha256): it was altered, "
                    + "or the server is being updated. Try again later")
        }
    }

    /// Whether trying again may help.
    private static func mayPass(_ error: any Error) -> Bool {
        if let error = error as? ImageError { return error.message.contains("ended after") }
        return !(error is CancellationError) && !(error is NIOSSLExtraError) && !(error is BoringSSLError)
    }

    private func decode<Value: Decodable>(
        _ type: Value.Type, _ path: String, _ client: HTTPClient
    ) async throws -> Value {
        do {
            let response = try await client.execute(
                HTTPClientRequest(url: url(path)), deadline: .now() + .seconds(60))
            try Self.check(response.status, url(path))
            let bytes = try await response.body.collect(upTo: Self.longestList)
            return try JSONDecoder().decode(type, from: Data(bytes.readableBytesView))
        } catch let error as ImageError {
            throw error
        } catch is DecodingError {
            throw ImageError(.invalid, "\(url(path)) is not what a simplestreams server should say")
        } catch {
            throw failure(path, error)
        }
    }

    private func failure(_ path: String, _ error: any Error) -> any Error {
        if error is CancellationError || error is ImageError { return error }
        return ImageError(.system, "cannot fetch \(url(path)): \(error)")
    }

    private static func check(_ status: HTTPResponseStatus, _ url: String) throws {
        guard status == .ok || status == .partialContent else {
            throw ImageError(
                status == .notFound ? .notFound : .system, "cannot fetch \(url): the server answers \(status)"
            )
        }
    }

    private func url(_ path: String) -> String { "\(address)/\(path)" }

    private func withClient<Result: Sendable>(_ body: (HTTPClient) async throws -> Result) async throws
        -> Result
    {
        var tls = TLSConfiguration.makeClientConfiguration()
        if !certificate.isEmpty {
            do {
                tls.additionalTrustRoots = [
                    .certificates(try NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8)))
                ]
            } catch {
                throw ImageError(.invalid, "the certificate for \(address) cannot be read: \(error)")
            }
        }
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
        configuration.timeout = .init(connect: .seconds(20), read: .seconds(60))
        configuration.proxy = Self.proxy(proxy)
        // One request at a time: nothing to gain from HTTP/2.
        configuration.httpVersion = .http1Only
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        do {
            let result = try await body(client)
            try await client.shutdown()
            return result
        } catch {
            try? await client.shutdown()
            throw error
        }
    }

    /// Reads `http://host:port`.
    private static func proxy(_ text: String) -> HTTPClient.Configuration.Proxy? {
        let place = text.split(separator: "/").last.map(String.init) ?? text
        guard let colon = place.lastIndex(of: ":"), let port = Int(place[place.index(after: colon)...]) else {
            return nil
        }
        return .server(host: String(place[..<colon]), port: port)
    }
}
