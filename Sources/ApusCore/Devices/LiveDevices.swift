import FoundationEssentials
import LinuxSystem
import Synchronization

/// A device of a running container, as it was put in.
struct LiveDevice: Sendable, Hashable, Codable {
    let device: Device
    let contribution: DeviceContribution
}

/// The devices of a running container, by name; written down so that they outlive the daemon.
final class LiveDevices: Sendable {
    private let file: String
    private let devices: Mutex<[String: LiveDevice]>

    /// The devices that are written down for a container that an earlier daemon started; else none.
    init(runtimeDirectory: String) {
        file = Self.file(runtimeDirectory)
        let known = (try? Files.bytes(file)).flatMap {
            try? JSONDecoder().decode([String: LiveDevice].self, from: Data($0))
        }
        devices = Mutex(known ?? [:])
    }

    /// Takes note of the devices that a start has made.
    func begin(_ started: [String: LiveDevice]) throws {
        devices.withLock { $0 = started }
        try write(started)
    }

    /// All of them.
    var all: [String: LiveDevice] { devices.withLock { $0 } }

    /// What all of them contribute, by name.
    var contributions: [DeviceContribution] {
        all.sorted { $0.key < $1.key }.map(\.value.contribution)
    }

    /// Takes note of a device that came, changed or went (nil).
    func set(_ name: String, _ device: LiveDevice?) throws {
        try write(
            devices.withLock { devices in
                devices[name] = device
                return devices
            })
    }

    private func write(_ devices: [String: LiveDevice]) throws {
        try Files.replace(file, Array(try JSONEncoder().encode(devices)), mode: 0o600, sync: false)
    }

    private static func file(_ runtimeDirectory: String) -> String { runtimeDirectory + "/devices.json" }
}
