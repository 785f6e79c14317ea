import Foundation
import Glibc
import LinuxSystem

/// The measurements, each on a host where the image is at hand.
struct Cases {
    let host: BenchHost
    let image: String
    let guest: String
    let rounds: Int
    let many: Int
    let moves: MoveCases

    /// The image of the many small containers.
    private let small = "debian:busybox"

    /// All of them, or those with a word in their names, in the order of the table. One that fails is left out, and
    /// said so.
    func all(_ word: String?) -> [Figure] {
        var figures: [Figure] = []
        for (name, measure) in [
            ("launch", launch), ("exec", exec), ("stateful snapshot", snapshot),
            ("stop and start", stopAndStart),
            ("stop and start with 512 MiB", stopAndStartLarge), ("many containers", manyContainers),
            ("btrfs", btrfs), ("images", images),
            ("network", { try NetworkCases(host, image, small, guest, rounds, many).all() }),
            ("move", moves.all),
        ] as [(String, () throws -> [Figure])] where word.map(name.contains) ?? true {
            Output.progress(name)
            do {
                figures += try measure()
            } catch {
                Output.progress("\(name) failed: \(error)")
                for left in (try? host.containers()) ?? [] { _ = try? host.apus("delete", left, "--force") }
            }
        }
        return figures
    }

    private func repeated(_ count: Int, _ body: () throws -> Double) rethrows -> [Double] {
        try (0..<count).map { _ in try body() }
    }

    private func withContainer<R>(_ body: (String) throws -> R) throws -> R {
        try host.apus("launch", image, "c1")
        try BenchHost.wait(for: "systemd to have started everything") {
            let state = (try? host.apus("exec", "c1", "--", "systemctl", "is-system-running")) ?? ""
            return state == "running" || state == "degraded"
        }
        try host.apus("file", "push", guest, "c1/usr/local/bin/guest", "--mode", "755")
        let result = try body("c1")
        try host.apus("delete", "c1", "--force")
        return result
    }

    private func launch() throws -> [Figure] {
        let times = try repeated(rounds) {
            host.settle()
            let time = try host.time("launch", image, "c1")
            try host.apus("delete", "c1", "--force")
            return time
        }
        let goal = try host.poolDriver() == "dir" ? 1.5 : 0.25
        return [
            Figure(
                name: "launch, image cached", values: times, unit: "s", goal: goal,
                peer: "2.9 s dir, 1.05 s btrfs")
        ]
    }

    private func exec() throws -> [Figure] {
        try withContainer { name in
            let times = try repeated(rounds * 10) { try host.time("exec", name, "--", "true") * 1000 }
            return [Figure(name: "exec -- true", values: times, unit: "ms", goal: 15, peer: "40 ms")]
        }
    }

    /// A ticker inside tells how long the container stood still.
    private func snapshot() throws -> [Figure] {
        try withContainer { name in
            var still: [Double] = []
            var whole: [Double] = []
            var back: [Double] = []
            for _ in 0..<rounds {
                try host.apus(
                    "exec", name, "--", "systemd-run", "--quiet", "--collect", "--unit=gaps",
                    "/usr/local/bin/guest", "gaps",
                    "/root/gaps")
                host.settle()
                whole.append(try host.time("snapshot", name, "s", "--stateful"))
                try host.apus("exec", name, "--", "systemctl", "stop", "gaps")
                let longest = try host.apus("exec", name, "--", "head", "-n1", "/root/gaps")
                still.append((Double(longest) ?? .nan) / 1_000_000)
                host.settle()
                back.append(try host.time("restore", name, "s"))
                try host.apus("exec", name, "--", "systemctl", "stop", "gaps")
                try host.apus("delete", "\(name)/s")
            }
            return [
                Figure(
                    name: "stateful snapshot: stands still", values: still, unit: "s", goal: 0.12,
                    peer: "0.36 s btrfs, 1.4–2.8 s dir"),
                Figure(
                    name: "stateful snapshot: whole command", values: whole, unit: "s", goal: nil, peer: ""),
                Figure(
                    name: "restore of it: whole command", values: back, unit: "s", goal: nil, peer: "1.4 s"),
            ]
        }
    }

    private func cycles(_ name: String) throws -> (stop: [Double], start: [Double]) {
        var times: (stop: [Double], start: [Double]) = ([], [])
        for _ in 0..<rounds {
            host.settle()
            times.stop.append(try host.time("stop", name, "--stateful"))
            times.start.append(try host.time("start", name))
        }
        return times
    }

    private func stopAndStart() throws -> [Figure] {
        try withContainer { name in
            let times = try cycles(name)
            return [
                Figure(name: "stop --stateful", values: times.stop, unit: "s", goal: 0.20, peer: "0.88 s"),
                Figure(name: "start after it", values: times.start, unit: "s", goal: 0.15, peer: "0.35 s"),
            ]
        }
    }

    private func stopAndStartLarge() throws -> [Figure] {
        try withContainer { name in
            try host.apus(
                "exec", name, "--", "systemd-run", "--quiet", "--unit=fill", "/usr/local/bin/guest", "fill",
                "512")
            try BenchHost.wait(for: "512 MiB to be touched") {
                let status = try host.apus(
                    "exec", name, "--", "sh", "-c",
                    "grep VmRSS /proc/$(systemctl show -P MainPID fill)/status")
                return (Int(status.filter(\.isNumber)) ?? 0) >= 512 * 1024
            }
            let times = try cycles(name)
            return [
                Figure(
                    name: "stop --stateful, 512 MiB touched", values: times.stop, unit: "s", goal: 0.50,
                    peer: "1.60 s"),
                Figure(
                    name: "start after it, 512 MiB touched", values: times.start, unit: "s", goal: 0.45,
                    peer: "0.73 s"),
            ]
        }
    }

    private func manyContainers() throws -> [Figure] {
        let fresh = Kernel.memory(of: host.daemon.pid)
        for number in 1...many { try host.apus("launch", small, "m\(number)") }
        host.settle()
        let list = try repeated(rounds * 3) { try host.time("list") * 1000 }
        poll(nil, 0, 10_000)  // what launches and lists left to do
        let (idle, seconds) = idling()
        let resident = Kernel.memory(of: host.daemon.pid)
        let shares = try host.runtimes().map { Kernel.family(of: $0).map(Kernel.share).reduce(0, +) }
        let names = try host.containers()
        let delete = try host.time(["delete", "--force"] + names)
        return [
            Figure(name: "list, \(many) running", values: list, unit: "ms", goal: 25, peer: "1107 ms"),
            Figure(name: "delete \(many) running", values: [delete], unit: "s", goal: 4, peer: "36 s"),
            Figure(name: "apusd resident, fresh", values: [fresh], unit: "MB", goal: 40, peer: "82 MB"),
            Figure(
                name: "apusd resident, \(many) running", values: [resident], unit: "MB", goal: 40,
                peer: "82 MB"),
            Figure(
                name: "apusd idle \(seconds) s, \(many) running", values: [idle], unit: "% CPU", goal: 0.1,
                peer: ""),
            Figure(
                name: "apus-runtime PSS, \(many) running", values: shares, unit: "MB", goal: 2,
                peer: "15 MB (RSS)"),
        ]
    }

    /// The share of a processor the daemon uses while nobody asks it anything; long enough for the kernel's clock.
    private func idling() -> (percent: Double, seconds: Int) {
        let seconds = 60
        let before = Kernel.processorTime(of: host.daemon.pid)
        poll(nil, 0, Int32(seconds) * 1000)
        return ((Kernel.processorTime(of: host.daemon.pid) - before) / Double(seconds) * 100, seconds)
    }

    /// On a pool of its own, in a file of the disk that the other figures are of.
    private func btrfs() throws -> [Figure] {
        try host.apus("storage", "create", "btrfs", "btrfs", "size=10GiB")
        defer {
            for name in (try? host.containers()) ?? [] { _ = try? host.apus("delete", name, "--force") }
            _ = try? host.apus("storage", "delete", "btrfs")
        }
        try host.apus("init", image, "big", "-s", "btrfs")
        let times = try repeated(rounds) {
            let time = try host.time("launch", image, "c1", "-s", "btrfs")
            try host.apus("delete", "c1", "--force")
            return time
        }
        // A gigabyte of noise, below the root of the stopped container.
        let file = "\(host.folder)/storage-pools/btrfs/containers/big/rootfs/root/noise"
        try BenchHost.run([
            "dd", "if=/dev/urandom", "of=" + file, "bs=1M", "count=1024", "conv=fsync", "status=none",
        ])
        let copies = try repeated(rounds) {
            let time = try host.time("copy", "big", "c2")
            try host.apus("delete", "c2")
            return time
        }
        return [
            Figure(name: "btrfs: launch, image cached", values: times, unit: "s", goal: 0.25, peer: "1.05 s"),
            Figure(name: "btrfs: copy of a 1 GiB container", values: copies, unit: "s", goal: 0.2, peer: "-"),
        ]
    }
}
