import Foundation
import Glibc

/// How fast images are made and come in, beside what the disk and the compressor do by themselves.
extension Cases {
    func images() throws -> [Figure] {
        try host.apus("init", image, "p1")
        defer {
            _ = try? host.apus("delete", "p1", "--force")
            for alias in ["bench-published", "bench-imported"] {
                _ = try? host.apus("image", "delete", alias)
            }
        }
        let files = "\(host.folder)/storage-pools/default/containers/p1"
        let megabytes = try size(of: files) / 1_000_000
        let work = host.folder + "/../images"
        try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: work) }
        func speed(_ amount: Double, _ body: () throws -> Void) throws -> Double {
            host.settle()
            let before = ContinuousClock.now
            try body()
            return amount / ((ContinuousClock.now - before) / .seconds(1))
        }
        var (disk, zstd, publish, bring, unpack): ([Double], [Double], [Double], [Double], [Double]) =
            ([], [], [], [], [])
        for _ in 0..<max(3, rounds / 3) {
            disk.append(
                try speed(512 * 1.048576) {
                    try BenchHost.run([
                        "dd", "if=/dev/zero", "of=\(work)/disk", "bs=1M", "count=512", "conv=fsync",
                        "status=none",
                    ])
                })
            zstd.append(
                try speed(megabytes) {
                    try BenchHost.run([
                        "tar", "-C", files, "-I", "zstd -3 -T0", "-cf", "\(work)/tar.zst", ".",
                    ])
                })
            publish.append(
                try speed(megabytes) { try host.apus("publish", "p1", "--alias", "bench-published") })
            try host.apus("image", "export", "bench-published", work + "/image")
            try host.apus("image", "delete", "bench-published")
            let exported = try FileManager.default.contentsOfDirectory(atPath: work).first {
                $0.hasPrefix("image")
            }
            let file = work + "/" + (exported ?? "image")
            let packed = try size(of: file) / 1_000_000
            bring.append(
                try speed(packed) { try host.apus("image", "import", file, "--alias", "bench-imported") })
            unpack.append(try speed(megabytes) { try host.apus("init", "bench-imported", "p2") })
            try host.apus("delete", "p2")
            try host.apus("image", "delete", "bench-imported")
            try FileManager.default.removeItem(atPath: file)
        }
        func figure(_ name: String, _ values: [Double]) -> Figure {
            Figure(name: name, values: values, unit: "MB/s", goal: nil, peer: "")
        }
        return [
            figure("disk alone: write and fsync", disk), figure("tar and zstd -3 -T0 alone", zstd),
            figure("publish (zstd), per MB of files", publish), figure("import, per MB of the file", bring),
            figure("unpack into a dir pool and copy", unpack),
        ]
    }

    /// Bytes on the disk.
    private func size(of path: String) throws -> Double {
        let text = try BenchHost.run(["du", "-s", "-B1", path])
        guard let bytes = text.split(whereSeparator: \.isWhitespace).first.flatMap({ Double($0) }) else {
            throw BenchError(description: "du said: \(text)")
        }
        return bytes
    }
}
