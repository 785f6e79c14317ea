import Foundation
import Glibc

/// A server of simplestreams over HTTPS, with a certificate of its own, that can be told to misbehave.
final class StreamsServer {
    let folder: String
    let url: String
    private let program: Program

    /// Whether the programs it is made of are on this machine.
    static let isPossible = ["python3", "openssl", "mksquashfs"].allSatisfy { name in
        (try? run(["which", name]).code) == 0
    }

    /// Serves `folder`/www.
    init(_ folder: String) throws {
        self.folder = folder
        try FileManager.default.createDirectory(
            atPath: folder + "/www/streams/v1", withIntermediateDirectories: true)
        try must([
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
            "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder + "/key.pem", "-out",
            folder + "/cert.pem",
        ])
        try Self.script.write(toFile: folder + "/server.py", atomically: true, encoding: .utf8)
        let log = folder + "/server.log"
        let started = try Program(
            ["python3", folder + "/server.py", folder], output: .file(log), errors: .file(log))
        program = started
        try eventually("the image server to listen", limit: .seconds(30)) {
            guard started.isRunning else { throw Trouble("the image server ended: \(text(of: log))") }
            return !text(of: folder + "/port").isEmpty
        }
        url = "https://localhost:\(text(of: folder + "/port"))"
    }

    /// Ends it.
    func stop() {
        program.signal(SIGKILL)
        _ = try? program.wait(limit: .seconds(10))
    }

    /// The certificate that clients have to trust.
    var certificate: String { folder + "/cert.pem" }

    /// What was asked for: "path range", oldest first.
    var requests: [String] {
        text(of: folder + "/requests.log").split(separator: "\n").map(String.init)
    }

    /// Breaks the next transfer of a file off in its middle.
    func cutOnce(_ path: String) throws {
        try path.write(toFile: folder + "/cut", atomically: true, encoding: .utf8)
    }

    /// Breaks every transfer of a file off; nil mends that.
    func cutAlways(_ path: String?) throws {
        guard let path else { return try FileManager.default.removeItem(atPath: folder + "/dead") }
        try path.write(toFile: folder + "/dead", atomically: true, encoding: .utf8)
    }

    /// Offers a version of an image: a tarball with metadata, and a root file system.
    func offer(_ alias: String, version: String, metadata: String, rootfs: String, isSquashfs: Bool) throws {
        let place = "images/\(alias)/\(version)"
        try FileManager.default.createDirectory(
            atPath: "\(folder)/www/\(place)", withIntermediateDirectories: true)
        let root = isSquashfs ? "rootfs.squashfs" : "rootfs.tar.xz"
        try must(["cp", metadata, "\(folder)/www/\(place)/lxd.tar.xz"])
        try must(["cp", rootfs, "\(folder)/www/\(place)/\(root)"])
        let head = try Data(contentsOf: URL(filePath: metadata))
        let tail = try Data(contentsOf: URL(filePath: rootfs))
        try (head + tail).write(to: URL(filePath: folder + "/both"))
        let sum = try Self.sum(folder + "/both")
        let kind = isSquashfs ? "squashfs" : "root.tar.xz"
        let combined = isSquashfs ? "combined_squashfs_sha256" : "combined_rootxz_sha256"
        let arch = TestImage.architecture == "x86_64" ? "amd64" : "arm64"
        let products = """
            {"format": "products:1.0", "products": {"test:\(alias):\(arch)": {
              "aliases": "\(alias),\(alias)/default", "arch": "\(arch)", "os": "Test", "release": "\(alias)",
              "release_title": "\(alias)", "variant": "default", "versions": {"\(version)": {"items": {
                "lxd.tar.xz": {"ftype": "lxd.tar.xz", "path": "\(place)/lxd.tar.xz", "size": \(head.count),
                  "sha256": "\(try Self.sum(metadata))", "\(combined)": "\(sum)"},
                "\(root)": {"ftype": "\(kind)", "path": "\(place)/\(root)", "size": \(tail.count),
                  "sha256": "\(try Self.sum(rootfs))"}
              }}}}}}
            """
        let index = """
            {"format": "index:1.0", "index": {"images": {"datatype": "image-downloads",
              "format": "products:1.0", "path": "streams/v1/images.json"}}}
            """
        for (name, content) in [("index", index), ("images", products)] {
            try content.write(
                toFile: "\(folder)/www/streams/v1/\(name).json", atomically: true, encoding: .utf8)
        }
    }

    private static func sum(_ path: String) throws -> String {
        String(try must(["sha256sum", path]).text.prefix(64))
    }

    private static let script = """
        import http.server, os, ssl, sys
        folder = sys.argv[1]
        def told(name):
            try: return open(os.path.join(folder, name)).read().strip()
            except FileNotFoundError: return None
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def log_message(self, *arguments): pass
            def do_GET(self):
                path, span = self.path.lstrip("/"), self.headers.get("Range") or ""
                with open(os.path.join(folder, "requests.log"), "a") as log: log.write(path + " " + span + "\\n")
                place = os.path.join(folder, "www", path)
                if not os.path.isfile(place):
                    self.send_response(404); self.send_header("Content-Length", "0"); self.end_headers(); return
                data, start = open(place, "rb").read(), 0
                if span.startswith("bytes="): start = int(span[6:].split("-")[0])
                body = data[start:]
                self.send_response(206 if span else 200)
                self.send_header("Content-Length", str(len(body))); self.end_headers()
                if told("dead") == path: body = b"" if start else body[:len(body) // 2]
                elif told("cut") == path:
                    os.remove(os.path.join(folder, "cut")); body = body[:len(body) // 2]
                else:
                    self.wfile.write(body); return
                self.wfile.write(body); self.wfile.flush(); self.close_connection = True
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        with open(os.path.join(folder, "port.new"), "w") as f: f.write(str(server.server_address[1]))
        os.rename(os.path.join(folder, "port.new"), os.path.join(folder, "port"))
        server.serve_forever()
        """
}
