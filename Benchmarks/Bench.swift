import ArgumentParser
import Foundation
import Glibc
import LinuxSystem

/// Measures the real programs on real containers, beside the goals.
@main
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus-bench", abstract: "Measure Apus on this machine, beside the goals.")

    @Option(help: "Where apus, apusd and apus-runtime are.")
    var programs = "bin"

    @Option(help: "How often each thing is measured.")
    var rounds = 15

    @Option(help: "How many containers are \"many\".")
    var many = 50

    @Option(help: "How often a container is moved.")
    var moves = 10

    @Option(help: "Only what has this word in its name: launch, network, move …")
    var only: String?

    @Option(help: "Append the table to this file.")
    var record: String?

    func run() throws {
        guard geteuid() == 0 else { throw ValidationError("The benchmarks need root.") }
        let whole =
            programs.hasPrefix("/") ? programs : FileManager.default.currentDirectoryPath + "/" + programs
        let guest = try BenchHost.run(["scripts/guest-program"])
        let host = try BenchHost(programs: whole)
        defer { host.tearDown() }
        let image = try prepareImage(host)
        let quiet = awaitQuiet()
        let between = MoveCases(programs: whole, guest: guest, imageFile: builtImage, rounds: moves)
        let figures = Cases(
            host: host, image: image, guest: guest, rounds: rounds, many: many, moves: between
        ).all(only)
        let method =
            "Each round began when all that was written before had reached the disk (sync). \(quiet); "
            + "\(Self.percent(Kernel.load(seconds: 5))) after the end."
        let heading = [
            "", "## \(Self.today()), commit \(commit())", "", machine(try host.poolDriver()), method, "",
        ]
        let lines = heading + table(figures)
        for line in lines { Output.line(line) }
        if let record {
            let handle = try FileHandle(forUpdating: URL(filePath: record))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data((lines.joined(separator: "\n") + "\n").utf8))
            try handle.close()
        }
    }

    /// Debian 12 as the tests have built it on this machine, if they have.
    private var builtImage: String? {
        let file = (Environment.value("APUS_TEST_CACHE") ?? "/var/cache/apus-test") + "/test-debian-12.tar"
        return FileManager.default.fileExists(atPath: file) ? file : nil
    }

    private func prepareImage(_ host: BenchHost) throws -> String {
        if let builtImage {
            Output.progress("importing \(builtImage)")
            try host.apus("image", "import", builtImage, "--alias", "debian-12")
        }
        Output.progress("preparing the images")
        let image = builtImage == nil ? "debian:12" : "debian-12"
        for name in [image, "debian:busybox"] {
            try host.apus("init", name, "first")
            try host.apus("delete", "first", "--force")
        }
        return image
    }

    /// Waits a while for a machine with nothing else to do, and tells in words what it found.
    private func awaitQuiet() -> String {
        Output.progress("waiting for the machine to be quiet")
        var load = Kernel.load(seconds: 2)
        var waited = 2
        while load > 5, waited < 120 {
            load = Kernel.load(seconds: 2)
            waited += 2
        }
        return "The processors were in use by \(Self.percent(load)) before the first round"
    }

    private static func percent(_ value: Double) -> String { "\(Int(value.rounded())) %" }

    private static func today() -> String {
        let format = DateFormatter()
        format.dateFormat = "yyyy-MM-dd"
        format.timeZone = TimeZone(identifier: "UTC")
        return format.string(from: Date())
    }

    private func commit() -> String {
        (try? BenchHost.run(["git", "describe", "--always", "--dirty"])) ?? "unknown"
    }

    private func machine(_ pool: String) -> String {
        let processors = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let model =
            processors.split(separator: "\n").first { $0.hasPrefix("model name") }?
            .split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? "unknown processor"
        let kernel = (try? BenchHost.run(["uname", "-r"])) ?? ""
        let files = (try? BenchHost.run(["stat", "-f", "-c", "%T", "/var/tmp"])) ?? ""
        return
            "\(ProcessInfo.processInfo.activeProcessorCount) × \(model), Linux \(kernel), a \(pool) pool on \(files)."
    }
}
