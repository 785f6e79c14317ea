import ApusAPI
import ApusCore
import Foundation
import Testing

@Suite("The machine")
struct MachineTests {
    /// A made-up /proc and /sys.
    private func machine(_ files: [String: String]) throws -> (proc: String, sys: String) {
        let folder = NSTemporaryDirectory() + "apus-test-\(UUID().uuidString)"
        for (path, text) in files {
            let url = URL(filePath: "\(folder)/\(path)")
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }
        return (folder + "/proc", folder + "/sys")
    }

    @Test("Sockets, cores and threads are told apart, and what is offline is left out")
    func sockets() throws {
        var files = [
            "proc/meminfo": "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    600 kB\n",
            "sys/devices/system/cpu/online": "0-2,4\n",
        ]
        var about = ""
        for (cpu, package, core) in [(0, 0, 0), (1, 0, 0), (2, 1, 0), (3, 1, 1), (4, 1, 1)] {
            let base = "sys/devices/system/cpu/cpu\(cpu)"
            files["\(base)/topology/physical_package_id"] = "\(package)\n"
            files["\(base)/topology/core_id"] = "\(core)\n"
            about +=
                "processor\t: \(cpu)\nvendor_id\t: Swift\nmodel name\t: Apus \(package)\ncpu MHz\t\t: 2400.5\n\n"
        }
        files["proc/cpuinfo"] = about
        files["sys/devices/system/cpu/cpu2/cpufreq/scaling_cur_freq"] = "1200000\n"
        files["sys/devices/system/cpu/cpu2/cpufreq/cpuinfo_max_freq"] = "3000000\n"
        let (proc, sys) = try machine(files)
        defer { try? FileManager.default.removeItem(atPath: proc + "/..") }
        let found = try MachineResources.read(proc: proc, sys: sys)
        #expect(found.memory == MemoryResources(used: 400 << 10, total: 1000 << 10))
        #expect(found.cpu.total == 4)
        #expect(found.cpu.sockets.map(\.threads) == [2, 2])
        #expect(found.cpu.sockets.map(\.cores) == [1, 2])
        #expect(found.cpu.sockets.map(\.name) == ["Apus 0", "Apus 1"])
        #expect(found.cpu.sockets.map(\.frequency) == [2400, 1200])
        #expect(found.cpu.sockets.map(\.frequencyTurbo) == [nil, 3000])
    }

    @Test("A machine that says little has one socket")
    func silent() throws {
        let (proc, sys) = try machine([
            "proc/meminfo": "MemTotal: 8 kB\nMemFree: 3 kB\n",
            "proc/cpuinfo": "processor : 0\nprocessor : 1\n",
        ])
        defer { try? FileManager.default.removeItem(atPath: proc + "/..") }
        let found = try MachineResources.read(proc: proc, sys: sys)
        #expect(found.memory.used == 5 << 10)
        #expect(found.cpu.sockets.count == 1)
        #expect(found.cpu.sockets.first?.threads == 2)
        #expect(found.cpu.sockets.first?.name == nil)
    }

    @Test("This machine has processors and memory")
    func real() throws {
        let found = try MachineResources.read()
        #expect(found.cpu.total == Int64(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        #expect(found.memory.used > 0 && found.memory.used < found.memory.total)
    }
}
