import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus network info`
package struct NetworkInfo: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Print addresses and counters of a network.",
        discussion: """
            EXAMPLES:
              apus network info apusbr0
            """)

    @OptionGroup package var target: NetworkArgument

    package init() {}

    package func run() async throws {
        let session = try target.session()
        let name = target.name
        let state = try await session.client.networkState(name)
        var text = "Name: \(name)\nMAC address: \(state.hwaddr)\nMTU: \(state.mtu)\nState: \(state.state)\n"
        text += "Type: \(state.type)\n\nIP addresses:\n"
        for address in state.addresses {
            text += "  \(address.family): \(address.address)/\(address.netmask) (\(address.scope))\n"
        }
        text += "\nNetwork usage:\n  Bytes received: \(state.counters.bytesReceived)\n"
        text += "  Bytes sent: \(state.counters.bytesSent)\n"
        text += "  Packets received: \(state.counters.packetsReceived)\n"
        text += "  Packets sent: \(state.counters.packetsSent)\n"
        if let bridge = state.bridge {
            text += "\nBridge:\n  ID: \(bridge.id)\n  STP: \(bridge.stp)\n"
            text += "  Ports: \(bridge.upperDevices.joined(separator: ", "))\n"
        }
        session.output.write(text)
    }
}
