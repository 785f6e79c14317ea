import Foundation
import Glibc

/// A bare connection to the daemon's socket, for tests that send what no client would.
final class RawConnection {
    private let descriptor: Int32
    private var received = Data()

    /// An HTTP answer.
    struct Answer {
        let status: Int
        let headers: [String: String]
        let body: Data
        var text: String { String(decoding: body, as: UTF8.self) }
    }

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < room else { throw Trouble("\(path) is too long for a socket") }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let reason = errno
            close(descriptor)
            throw Trouble("cannot connect to \(path): \(String(cString: strerror(reason)))")
        }
    }

    /// A connection to a port of this machine.
    init(port: Int, at host: String = "127.0.0.1") throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        inet_pton(AF_INET, host, &address.sin_addr)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            let reason = errno
            close(descriptor)
            throw Trouble("cannot connect to port \(port): \(String(cString: strerror(reason)))")
        }
    }

    deinit { close(descriptor) }

    /// Sends bytes; a peer that has closed is no error here.
    func send(_ data: Data) {
        var rest = data
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            rest = Data(rest.dropFirst(count))
        }
    }

    func send(_ text: String) { send(Data(text.utf8)) }

    /// Receives more; false at the end of the stream.
    func receive(limit: Duration = .seconds(30)) throws -> Bool {
        var look = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let (seconds, fraction) = limit.components
        let milliseconds = Int32(seconds * 1000 + fraction / 1_000_000_000_000_000)
        guard poll(&look, 1, milliseconds) > 0 else {
            throw Trouble("waited \(limit) for the daemon to answer")
        }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return false }
        received.append(contentsOf: buffer[0..<count])
        return true
    }

    /// Receives until the daemon closes the connection; gives everything.
    func receiveToEnd(limit: Duration = .seconds(30)) throws -> Data {
        while try receive(limit: limit) {}
        return received
    }

    /// Exactly so many bytes.
    func receive(exactly count: Int) throws -> Data {
        while received.count < count {
            guard try receive() else { throw Trouble("the daemon closed the connection") }
        }
        let taken = Data(received.prefix(count))
        received = Data(received.dropFirst(count))
        return taken
    }

    /// A GET, and its answer.
    func get(_ path: String) throws -> Answer { try request("GET", path) }

    /// A request with an optional JSON body, and its answer.
    func request(_ method: String, _ path: String, _ body: String? = nil, headers: [String: String] = [:])
        throws
        -> Answer
    {
        var head = "\(method) \(path) HTTP/1.1\r\nHost: unix.socket\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if let body { head += "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n" }
        send(head + "\r\n" + (body ?? ""))
        return try answer()
    }

    /// The answer to what was sent.
    func answer() throws -> Answer {
        let separator = Data("\r\n\r\n".utf8)
        var end = received.range(of: separator)
        while end == nil {
            guard try receive() else { throw Trouble("the daemon closed the connection without an answer") }
            end = received.range(of: separator)
        }
        guard let end else { throw Trouble("no answer") }
        let head = String(decoding: received[received.startIndex..<end.lowerBound], as: UTF8.self)
        received = Data(received[end.upperBound...])
        var lines = head.components(separatedBy: "\r\n")
        let words = lines.removeFirst().split(separator: " ")
        guard words.count > 1, let status = Int(words[1]) else { throw Trouble("not HTTP: \(head)") }
        var headers: [String: String] = [:]
        for line in lines {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            headers[line[..<colon].lowercased()] = value
        }
        var body = Data()
        if headers["transfer-encoding"]?.lowercased() == "chunked" {
            body = try chunks()
        } else if let length = headers["content-length"].flatMap({ Int($0) }) {
            body = try receive(exactly: length)
        }
        return Answer(status: status, headers: headers, body: body)
    }

    private func chunks() throws -> Data {
        var body = Data()
        while true {
            var line = Data()
            while !line.ends(with: Data("\r\n".utf8)) { line.append(try receive(exactly: 1)) }
            let digits = String(decoding: line, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
            guard let size = Int(digits, radix: 16) else { throw Trouble("not a chunk: \(digits)") }
            body.append(try receive(exactly: size))
            _ = try receive(exactly: 2)
            if size == 0 { return body }
        }
    }
}

extension Data {
    fileprivate func ends(with tail: Data) -> Bool { suffix(tail.count) == tail }
}
