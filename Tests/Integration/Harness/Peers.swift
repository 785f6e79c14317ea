import Foundation
import Glibc
import Testing

/// A machine outside: a network namespace that has no route to any network of Apus. A server in it says "outside".
struct Outside {
    let name = "apout\(getpid())"
    let address = "198.18.77.2"
    let gateway = "198.18.77.1"
    private let server: Program

    init() throws {
        try must(["ip", "netns", "add", name])
        try must([
            "ip", "link", "add", "apo\(getpid())", "type", "veth", "peer", "name", "eth0", "netns", name,
        ])
        try must(["ip", "addr", "add", "\(gateway)/24", "dev", "apo\(getpid())"])
        try must(["ip", "link", "set", "apo\(getpid())", "up"])
        try must(["ip", "-n", name, "addr", "add", "\(address)/24", "dev", "eth0"])
        try must(["ip", "-n", name, "link", "set", "eth0", "up"])
        // Nothing here knows a way to the network of the containers: only what comes from the machine's own address
        // can be answered.
        server = try Program([
            "ip", "netns", "exec", name, "busybox", "nc", "-ll", "-p", "7000", "-e", "/bin/busybox", "echo",
            "outside",
        ])
        try eventually("the server outside to listen") {
            try must(["ip", "netns", "exec", name, "busybox", "netstat", "-tln"]).text.contains(":7000")
        }
    }

    func remove() {
        server.signal(SIGKILL)
        _ = try? server.wait(limit: .seconds(5))
        _ = try? run(["ip", "netns", "del", name])
        _ = try? run(["ip", "link", "del", "apo\(getpid())"])
    }
}

/// A client on the host with one connection that it keeps.
final class Client {
    private let socket: Int32

    init(_ address: String, _ port: UInt16) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        inet_pton(AF_INET, address, &name.sin_addr)
        let result = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            close(socket)
            throw Trouble("cannot connect to \(address):\(port)")
        }
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(socket) }

    func send(_ text: String) { _ = Glibc.send(socket, text, text.utf8.count, Int32(MSG_NOSIGNAL)) }

    func expect(_ text: String) throws {
        var got: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 4096)
        while got.count < text.utf8.count {
            let count = recv(socket, &room, room.count, 0)
            guard count > 0 else {
                throw Trouble("the connection broke (errno \(errno)) waiting for \(text)")
            }
            got += room[..<count]
        }
        guard String(decoding: got, as: UTF8.self) == text else {
            throw Trouble("got \(String(decoding: got, as: UTF8.self)) instead of \(text)")
        }
    }

    /// Sends a word and waits for its echo.
    func check(_ word: String) throws {
        send(word + "\n")
        try expect(word + "\n")
    }
}

extension TestHost {
    /// Starts a server in a busybox container that sends back what it gets, on port 7000.
    func serveEcho(in name: String) throws {
        try exec(
            name, "sh", "-c",
            "busybox setsid busybox nc -ll -p 7000 -e /bin/busybox cat < /dev/null > /dev/null 2>&1 &")
        try eventually("the server in \(name) to listen") {
            try exec(name, "busybox", "netstat", "-tln").contains(":7000")
        }
    }

    /// A connection to the server of an address.
    func client(of address: String) throws -> Client {
        var connection: Client?
        try eventually("the server at \(address) to answer") {
            connection = try? Client(address, 7000)
            return connection != nil
        }
        guard let connection else { throw Trouble("no connection to \(address)") }
        return connection
    }
}

/// A wire of the test's own: an interface of the host, and one of a network namespace at its other end.
struct Wire {
    let here = "apw\(getpid())"
    let name = "apwire\(getpid())"

    init() throws {
        try must(["ip", "netns", "add", name])
        try must(["ip", "link", "add", here, "type", "veth", "peer", "name", "eth0", "netns", name])
        try must(["ip", "link", "set", here, "up"])
        try must(["ip", "-n", name, "addr", "add", "198.18.78.1/24", "dev", "eth0"])
        try must(["ip", "-n", name, "link", "set", "eth0", "up"])
    }

    func remove() {
        _ = try? run(["ip", "netns", "del", name])
        _ = try? run(["ip", "link", "del", here])
    }
}

/// Datagrams, many and quick.
enum Datagrams {
    private static func name(_ address: String, _ port: UInt16) -> sockaddr_in {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        inet_pton(AF_INET, address, &name.sin_addr)
        return name
    }

    private static func with<R>(
        _ name: inout sockaddr_in, _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> R
    ) -> R {
        withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// Sends at least so many bytes to the port for nothing (9) of an address.
    static func send(_ bytes: Int, to address: String) throws {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(socket) }
        var name = name(address, 9)
        let datagram = [UInt8](repeating: 7, count: 1400)
        for _ in 0...(bytes / datagram.count) {
            // A refusal (nobody listens there, or the queue is full) is no reason to stop.
            _ = with(&name) { sendto(socket, datagram, datagram.count, 0, $0, $1) }
        }
    }

    /// Counts what arrives.
    final class Sink {
        private let socket: Int32
        let port: UInt16

        init(_ address: String) throws {
            let socket = Glibc.socket(
                AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
            self.socket = socket
            var size: Int32 = 32 << 20
            setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &size, 4)
            var name = Datagrams.name(address, 0)
            guard Datagrams.with(&name, { bind(socket, $0, $1) }) == 0 else {
                close(socket)
                throw Trouble("cannot listen at \(address): errno \(errno)")
            }
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            _ = Datagrams.with(&name) { pointer, _ in getsockname(socket, pointer, &length) }
            port = UInt16(bigEndian: name.sin_port)
        }

        deinit { close(socket) }

        /// The bytes of all datagrams so far.
        func bytes() -> Int {
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            var sum = 0
            while true {
                let count = recv(socket, &buffer, buffer.count, 0)
                guard count > 0 else { return sum }
                sum += count
            }
        }
    }
}
