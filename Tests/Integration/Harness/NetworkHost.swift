import Foundation
import Glibc
import Testing

/// A host with a network; afterwards nothing of it may be left in the kernel.
func withNetwork(_ name: String, _ body: (TestHost, String) throws -> Void) throws {
    let host = try TestHost(name, network: true)
    let id = host.id ?? ""
    defer { host.tearDown() }
    let network = TestHost.networkName
    do {
        try body(host, network)
    } catch {
        throw Trouble("\(error)\n--- apusd: \(text(of: host.log).suffix(3000))")
    }
    host.deleteContainers()
    host.deleteNetworks()
    #expect(access("/sys/class/net/\(network)", F_OK) != 0, "the bridge is left")
    #expect(!(try must(["nft", "list", "tables"]).text.contains(id)), "a table of nftables is left")
    #expect(!host.state.processes.values.contains("dnsmasq"), "dnsmasq is left")
}

/// What DHCP tells busybox's client, put into effect.
private let script = """
    #!/bin/busybox sh
    case $1 in bound|renew)
      busybox ip addr flush dev $interface
      busybox ip addr add $ip/$mask dev $interface
      busybox ip route add default via $router
      echo "search $domain" > /etc/resolv.conf
      for d in $dns; do echo "nameserver $d" >> /etc/resolv.conf; done
    esac

    """

extension TestHost {
    /// Launches busybox on the network and has it ask for an address, which is returned.
    @discardableResult
    func launchWithAddress(_ name: String, _ options: String...) throws -> String {
        try apus(["launch", try image(.busybox), name] + options)
        return try lease(name)
    }

    /// Has a busybox container ask for an address, which is returned.
    func lease(_ name: String) throws -> String {
        try apus("file", "push", "--mode", "0755", "-", "\(name)/run/dhcp", input: .bytes(Data(script.utf8)))
        try exec(name, "busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-t", "10", "-s", "/run/dhcp")
        return try address(name)
    }

    /// The IPv4 address of a container's eth0, as the daemon shows it.
    func address(_ name: String) throws -> String {
        let addresses = try query("/1.0/instances/\(name)/state")["network"]["eth0"]["addresses"].array
        guard let found = addresses.first(where: { $0["family"].string == "inet" })?["address"].string else {
            throw Trouble("\(name) has no address: \(addresses)")
        }
        return found
    }

    /// A network of the shared host, made when it is asked for first. Containers are on it by `--network` alone.
    func sharedNetwork() throws -> String {
        let name = "apcyc\(getpid() % 100_000)"
        if access("/sys/class/net/\(name)", F_OK) != 0 { try apus("network", "create", name) }
        return name
    }
}
