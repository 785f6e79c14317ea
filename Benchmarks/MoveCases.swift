import ApusAPI
import Foundation
import Glibc

/// Live moves between two hosts, as a client sees them who keeps one connection.
struct MoveCases {
    private let programs: String
    private let guest: String
    /// An image file; without one the hosts get the container's image from where images are.
    private let imageFile: String?
    private let rounds: Int
    private let name = "m1"
    private let port = "7000"

    init(programs: String, guest: String, imageFile: String?, rounds: Int) {
        (self.programs, self.guest) = (programs, guest)
        (self.imageFile, self.rounds) = (imageFile, rounds)
    }

    /// What was seen of one move.
    private struct Move {
        let there: Bool
        /// The client's longest gap, how long the container stood still, and the whole command, in seconds.
        let gap: Double, still: Double, whole: Double
        /// Bytes that were sent, and how many of them are memory of the container's.
        let sent: Double, memory: Double
    }

    /// All of them, in the order of the table.
    func all() throws -> [Figure] { try onDir() + onBtrfs() }

    private func onDir() throws -> [Figure] {
        try onPair("dir") { pair in
            let files = try fileBytes(pair.files("a", name))
            let idle = try moves(pair, memory: "stop-copy")
            try fill(pair, mebibytes: 512)
            let large = try moves(pair, memory: "stop-copy")
            let later = try moves(pair, memory: "post-copy")
            try fill(pair, mebibytes: 4096)
            let huge = try moves(pair, memory: "post-copy")
            let beyond = idle.filter(\.there).map {
                ($0.sent - files - $0.memory) / (files + $0.memory) * 100
            }
            return [
                gap("idle", idle, 0.18, "6.0 s"), still("idle", idle),
                gap("512 MiB, stop-copy", large, 0.5, "19.4 s"), still("512 MiB, stop-copy", large),
                gap("512 MiB, post-copy", later, 0.22, "19.4 s"), still("512 MiB, post-copy", later),
                gap("4 GiB, post-copy", huge, 0.22, ""), still("4 GiB, post-copy", huge),
                Figure(
                    name: "move: whole command, first time", values: idle.filter(\.there).map(\.whole),
                    unit: "s", goal: 3, peer: "11.8 s"),
                Figure(
                    name: "move: whole command, back", values: idle.filter { !$0.there }.map(\.whole),
                    unit: "s", goal: 1.5, peer: ""),
                Figure(
                    name: "move: sent beyond files and memory", values: beyond, unit: "%", goal: 3, peer: ""),
            ]
        }
    }

    private func onBtrfs() throws -> [Figure] {
        try onPair("btrfs") { pair in
            let idle = try moves(pair, memory: "stop-copy")
            return [gap("idle, btrfs", idle, 0.18, "fails"), still("idle, btrfs", idle)]
        }
    }

    private func gap(_ what: String, _ moves: [Move], _ goal: Double, _ peer: String) -> Figure {
        Figure(
            name: "move, \(what): the client's longest gap", values: moves.map(\.gap), unit: "s", goal: goal,
            peer: peer)
    }

    private func still(_ what: String, _ moves: [Move]) -> Figure {
        Figure(
            name: "move, \(what): stands still", values: moves.map(\.still), unit: "s", goal: nil, peer: "")
    }

    /// Two hosts with a container on the first one that answers.
    private func onPair(_ pool: String, _ body: (MovePair) throws -> [Figure]) throws -> [Figure] {
        let pair = try MovePair(programs: programs, pool: pool)
        defer { pair.tearDown() }
        if let imageFile { try pair.apus("a", "image", "import", imageFile, "--alias", "debian-12") }
        try pair.apus("a", "launch", imageFile == nil ? "debian:12" : "debian-12", name)
        try BenchHost.wait(for: "systemd to have started everything") {
            let state = (try? pair.exec("a", name, "systemctl", "is-system-running")) ?? ""
            return state == "running" || state == "degraded"
        }
        try pair.apus("a", "file", "push", guest, "\(name)/usr/local/bin/guest", "--mode", "755")
        try pair.exec(
            "a", name, "systemd-run", "--quiet", "--unit=answer", "/usr/local/bin/guest", "answer", port)
        return try body(pair)
    }

    /// There and back, again and again, until there are enough.
    private func moves(_ pair: MovePair, memory: String) throws -> [Move] {
        let address = try self.address(pair)
        return try (0..<(rounds + 1) / 2).flatMap { _ in
            [
                try move(pair, "a", "b", address, memory), try move(pair, "b", "a", address, memory),
            ]
        }
    }

    private func move(
        _ pair: MovePair, _ from: String, _ to: String, _ address: String, _ memory: String
    ) throws -> Move {
        sync()
        let client = try pair.connect(guest: guest, to: address, port: port)
        // The kernel has to know how quick the connection is.
        poll(nil, 0, 500)
        let before = ContinuousClock.now
        let text = try pair.apus(
            from, "move", name, "\(to):", "--memory", memory, "--format", "json", "--quiet")
        let whole = (ContinuousClock.now - before) / .seconds(1)
        // Whatever is still to be sent again, or answered late.
        poll(nil, 0, 2000)
        let gap = try client.longestGap()
        let figures = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
        func number(_ name: String) -> Double { Double(figures[name]?.intValue ?? 0) }
        return Move(
            there: from == "a", gap: gap, still: number("downtime_us") / 1_000_000, whole: whole,
            sent: number("files_sent") + number("memory_sent") + number("state_sent"),
            memory: number("memory_received"))
    }

    /// Has a process of the container hold that much memory, and no other.
    private func fill(_ pair: MovePair, mebibytes: Int) throws {
        try pair.exec("a", name, "sh", "-c", "systemctl stop fill 2>/dev/null || true")
        try pair.exec(
            "a", name, "systemd-run", "--quiet", "--unit=fill", "/usr/local/bin/guest", "fill",
            String(mebibytes))
        try BenchHost.wait(for: "\(mebibytes) MiB to be touched") {
            let status = try pair.exec(
                "a", name, "sh", "-c", "grep VmRSS /proc/$(systemctl show -P MainPID fill)/status")
            return (Int(status.filter(\.isNumber)) ?? 0) >= mebibytes * 1024
        }
    }

    /// The container's address on the segment, once it has one.
    private func address(_ pair: MovePair) throws -> String {
        var address = ""
        try BenchHost.wait(for: "an address from the segment's router") {
            let answer = try pair.apus("a", "query", "/1.0/containers/\(name)/state")
            let state = try JSONDecoder().decode(JSONValue.self, from: Data(answer.utf8))
            let all = state["network"]?["eth0"]?["addresses"]?.arrayValue ?? []
            address = all.first { $0["family"]?.stringValue == "inet" }?["address"]?.stringValue ?? ""
            return !address.isEmpty
        }
        return address
    }

    /// The bytes in the files of a tree, each file once.
    private func fileBytes(_ path: String) throws -> Double {
        let text = try BenchHost.run(["find", path, "-xdev", "-type", "f", "-printf", "%i %s\\n"])
        var sizes: [Substring: Double] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2 { sizes[words[0]] = Double(words[1]) }
        }
        return sizes.values.reduce(0, +)
    }
}
