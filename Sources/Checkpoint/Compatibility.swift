import CRIU
package import ContainerRuntime
import Glibc
import LinuxSystem

/// What this machine is like.
enum Compatibility {
    /// This machine.
    static func current(criu: CRIUVersion, apus: String) throws -> CheckpointCompatibility {
        var names = utsname()
        _ = uname(&names)
        return CheckpointCompatibility(
            criu: criu.description, kernel: text(&names.release), architecture: text(&names.machine),
            cpuFeatures: cpuFeatures(), cgroupLayout: try CgroupLayout.current().kind.rawValue, apus: apus)
    }

    private static func cpuFeatures() -> [String] {
        guard let text = try? Files.text("/proc/cpuinfo", limit: 1 << 22) else { return [] }
        for line in text.split(separator: "\n") where line.hasPrefix("flags") || line.hasPrefix("Features") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            return line[line.index(after: colon)...].split(separator: " ").map(String.init).sorted()
        }
        return []
    }

    private static func text<Tuple>(_ field: inout Tuple) -> String {
        withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}

extension CheckpointCompatibility {
    /// Why a checkpoint made on this machine cannot be restored on another one; nil: it can.
    package func objection(to here: CheckpointCompatibility) -> String? {
        guard architecture == here.architecture else {
            return "it was made on a machine of type \(architecture), and this one is \(here.architecture)"
        }
        let missing = Set(cpuFeatures).subtracting(here.cpuFeatures).sorted()
        guard missing.isEmpty else {
            let some = missing.prefix(5).joined(separator: ", ")
            return "its programs may use processor features this machine lacks (\(some))"
        }
        guard let made = Self.version(criu), let ours = Self.version(here.criu) else { return nil }
        // CRIU reads the images of older versions, not those of newer ones.
        guard (made.major, made.minor) <= (ours.major, ours.minor) else {
            return "it was made by CRIU \(criu), and this machine has only \(here.criu)"
        }
        return nil
    }

    private static func version(_ text: String) -> CRIUVersion? {
        let numbers = text.split(separator: ".").compactMap { Int($0) }
        guard numbers.count >= 2 else { return nil }
        return CRIUVersion(major: numbers[0], minor: numbers[1], patch: numbers.count > 2 ? numbers[2] : 0)
    }
}
