import Glibc
import LinuxSystem

/// What the host is.
enum Machine {
    /// `uname`'s fields.
    static var names: (system: String, host: String, release: String, architecture: String) {
        var data = utsname()
        uname(&data)
        func text<Field>(_ field: Field) -> String {
            withUnsafeBytes(of: field) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
        }
        return (text(data.sysname), text(data.nodename), text(data.release), text(data.machine))
    }

    /// Bytes that may still be written in a directory's file system.
    static func room(in directory: String) throws -> Int64 {
        var space = statvfs()
        try check("statvfs", "look for room in \(directory)") { statvfs(directory, &space) }
        return Int64(clamping: UInt64(space.f_bavail) &* UInt64(space.f_frsize))
    }

    /// Changes with every boot.
    static var bootID: String { ((try? Files.text("/proc/sys/kernel/random/boot_id")) ?? "").trimmingSpaces }

    /// Processors that programs can run on.
    static var processors: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// Bytes of memory.
    static var memory: Int64 { Int64(sysconf(Int32(_SC_PHYS_PAGES))) * Int64(sysconf(Int32(_SC_PAGESIZE))) }

    /// Bytes of memory that programs can have without swapping (proc_meminfo(5), MemAvailable).
    static var availableMemory: UInt64 {
        let text = (try? Files.text("/proc/meminfo")) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
        return (line?.split(separator: " ").dropFirst().first.flatMap { UInt64($0) } ?? 0) << 10
    }

    /// The distribution's name and version.
    static var distribution: (name: String, version: String) {
        var values: [Substring: String] = [:]
        for line in ((try? Files.text("/etc/os-release")) ?? "").split(separator: "\n") {
            let sides = line.split(separator: "=", maxSplits: 1)
            guard sides.count == 2 else { continue }
            values[sides[0]] = sides[1].trimmingPrefix("\"").description.replacingSuffix("\"")
        }
        return (values["NAME"] ?? "Linux", values["VERSION_ID"] ?? "")
    }
}

extension String {
    fileprivate func replacingSuffix(_ suffix: String) -> String {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) : self
    }
}
