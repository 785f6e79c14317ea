import ApusAPI
import Networking

extension NetworkKeys {
    /// The tunnels that the keys of a network describe.
    static func tunnels(_ config: ConfigMap, of network: String) throws -> [BridgePlan.Tunnel] {
        let names = Set(
            config.keys.filter { $0.hasPrefix("tunnel.") }.map { String($0.split(separator: ".")[1]) })
        return try names.sorted().map { name in
            func value(_ key: String) -> String? { config["tunnel.\(name).\(key)"] }
            guard value("protocol") != nil else {
                throw ServiceError.badRequest(
                    "The tunnel \"\(name)\" has no protocol; set tunnel.\(name).protocol=vxlan, or unset its other keys"
                )
            }
            let interface = "\(network)-\(name)"
            if let problem = LinkNames.problem(interface) {
                throw ServiceError.badRequest(
                    "The tunnel \"\(name)\" would be the interface \"\(interface)\", which \(problem)")
            }
            guard value("remote") == nil || value("group") == nil else {
                throw ServiceError.badRequest(
                    "The tunnel \"\(name)\" leads to one machine (remote) or to a group; set one of the two")
            }
            var tunnel = BridgePlan.Tunnel(
                interface: interface, remote: value("remote") ?? value("group") ?? "239.0.0.1")
            tunnel.number = value("id").flatMap { UInt32($0) } ?? 1
            tunnel.local = value("local")
            tunnel.port = value("port").flatMap { UInt16($0) }
            tunnel.through = value("interface")
            return tunnel
        }
    }
}
