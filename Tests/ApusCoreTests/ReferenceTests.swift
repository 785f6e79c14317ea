import ApusCore
import Foundation
import Testing

@Suite("The reference of configuration keys")
struct ConfigReferenceTests {
    @Test("docs/reference/configuration.md has the table that the daemon checks by")
    func table() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../docs/reference/configuration.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        #expect(
            text.contains(ConfigKeys.markdown()),
            "replace the table in docs/reference/configuration.md by:\n\(ConfigKeys.markdown())")
    }

    @Test("docs/reference/devices.md has the tables of all types of devices")
    func devices() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../docs/reference/devices.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        #expect(
            text.contains(DeviceTypes.markdown()),
            "replace the tables in docs/reference/devices.md by:\n\(DeviceTypes.markdown())")
    }

    @Test("docs/reference/storage.md has the tables of pools and volumes")
    func storage() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../docs/reference/storage.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        for table in [StorageKeys.pool, StorageKeys.volume] {
            #expect(
                text.contains(StorageKeys.markdown(table)),
                "replace the table in docs/reference/storage.md by:\n\(StorageKeys.markdown(table))")
        }
    }

    @Test("docs/reference/configuration.md has the daemon's own keys")
    func server() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../docs/reference/configuration.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        #expect(
            text.contains(ServerConfig.markdown()),
            "replace the table of the daemon's keys in docs/reference/configuration.md by:\n\(ServerConfig.markdown())"
        )
    }

    @Test("docs/reference/networks.md has the table of keys")
    func networks() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../docs/reference/networks.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        #expect(
            text.contains(NetworkKeys.markdown()),
            "replace the table in docs/reference/networks.md by:\n\(NetworkKeys.markdown())")
    }

    @Test("Every key is there once")
    func unique() {
        #expect(Set(ConfigKeys.all.map(\.name)).count == ConfigKeys.all.count)
    }
}
