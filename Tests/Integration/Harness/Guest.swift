import Foundation
import Testing

/// The guest program of the tests, running in a container.
struct Guest {
    let name: String
    let host: TestHost
    /// Its folder inside the container.
    let folder: String

    /// What it says of itself.
    struct Report {
        /// Another one for each start of the program.
        let id: String
        let pid: Int
        let tick: Int
    }

    /// Starts it as a service of the container's own init; in busybox it is running anyway.
    static func start(in name: String, of image: TestImage, on host: TestHost) throws -> Guest {
        guard image.hasSystemd else {
            let guest = Guest(name: name, host: host, folder: "/var/guest")
            try guest.waitUntilUp()
            return guest
        }
        try install(in: name, on: host)
        let guest = Guest(name: name, host: host, folder: "/var/lib/guest")
        try host.exec(name, "systemd-run", "--quiet", "--unit=guest", path, "run", guest.folder)
        try guest.waitUntilUp()
        return guest
    }

    /// Where it lies in a Debian container.
    static let path = "/usr/local/bin/guest"

    /// Puts the program into a container.
    static func install(in name: String, on host: TestHost) throws {
        try host.apus("file", "push", try GuestProgram.file(), "\(name)\(path)", "--mode", "755")
    }

    private var program: String { folder == "/var/guest" ? "/usr/bin/guest" : Self.path }

    /// Waits until it answers: its container may have started afresh.
    func waitUntilUp() throws {
        try eventually("the guest program in \(name) to answer") {
            try host.apus("exec", name, "--", program, "ask", folder, "verify", expecting: nil).code == 0
        }
    }

    /// Has it verify memory, threads, files, pipes, sockets, watch, timers and children.
    @discardableResult
    func verify(_ when: String = "", sourceLocation: SourceLocation = #_sourceLocation) throws -> Report {
        let answer = try host.apus("exec", name, "--", program, "ask", folder, "verify", expecting: nil)
        let report = try JSON(answer.output.isEmpty ? Data("{}".utf8) : answer.output)
        #expect(
            report["ok"].bool == true, "\(when) \(answer.text) \(answer.complaint)",
            sourceLocation: sourceLocation)
        guard let id = report["id"].string, let pid = report["pid"].int, let tick = report["tick"].int else {
            throw Trouble("\(when): the guest program does not answer: \(answer)")
        }
        return Report(id: id, pid: pid, tick: tick)
    }
}
