import CLinux
import Glibc
import LinuxSystem

/// Fills the new, empty network namespace of a restored container.
struct RestoreNetwork {
    let record: CheckpointRecord
    let interfaces: [NetworkInterface]
    let runtimeDirectory: String

    /// Makes the interfaces, addresses, routes and settings of the checkpoint inside the namespace of `pid`. Nobody can
    /// reach the container yet: see `connect`. For single-threaded programs: the whole process changes over for a
    /// moment. Returns what tells its neighbours when they can.
    func configure(_ pid: pid_t) throws -> AddressAnnouncement? {
        let home = try Namespaces.open(.network, of: getpid())
        let namespace = try Namespaces.open(.network, of: pid)
        let former = record.network?.links ?? []
        for interface in interfaces {
            if let link = former.first(where: { $0.name == interface.name }) {
                try interface.makeAgain(link, in: namespace, host: home)
            } else {
                try interface.make(in: namespace, notedIn: runtimeDirectory)
            }
        }
        try Namespaces.enter(namespace, .network)
        defer { try? Namespaces.enter(home, .network) }
        try replaySettings { !$0.hasSuffix("/addr_gen_mode") }
        if let network = record.network {
            try replay(network)
        } else if record.loopbackUp {
            try check("ioctl", "bring the container's lo up") { apus_loopback_up() }
        }
        guard !interfaces.isEmpty else { return nil }
        do {
            let macvlans = interfaces.filter { $0.kind == .macvlan }.map { interface in
                (
                    interface.name,
                    former.first { $0.name == interface.name }?.address ?? interface.address ?? ""
                )
            }
            return try AddressAnnouncement(
                of: Set(interfaces.map(\.name)), later: Dictionary(macvlans) { first, _ in first })
        } catch {
            // Neighbours find out by themselves, after a while.
            RuntimeLog.write("\(error)")
            return nil
        }
    }

    /// Lets the container be reached that has `pid`.
    func connect(_ pid: pid_t) throws {
        let namespace = try Namespaces.open(.network, of: pid)
        let former = record.network?.links ?? []
        for interface in interfaces {
            try interface.connect(in: namespace, as: former.first { $0.name == interface.name })
        }
        guard !interfaces.isEmpty else { return }
        // Restored sockets have spoken already, and nobody has heard the question where their neighbours are.
        do { try NeighbourControl(in: namespace).forgetUnanswered() } catch { RuntimeLog.write("\(error)") }
    }

    private func replay(_ network: CheckpointNetwork) throws {
        let control = try LinkControl()
        let addresses = AddressControl(control.socket)
        // The kernel is not to make addresses of its own meanwhile.
        let modes = network.links.filter { !$0.isLoopback }.map { link in
            "/proc/sys/net/ipv6/conf/\(link.name)/addr_gen_mode"
        }
        let former = modes.map { (path: $0, value: try? Files.text($0, limit: 16).trimmingSpaces) }
        for path in modes { try? Files.poke(path, "1") }
        defer {
            for (path, value) in former { if let value { try? Files.poke(path, value) } }
            try? replaySettings { $0.hasSuffix("/addr_gen_mode") }
            removeStrangers(network, addresses)
        }
        let present = Dictionary(try control.links().map { ($0.index, $0) }) { first, _ in first }
        for link in network.links {
            guard let now = present[link.index] else { continue }
            try control.change(
                link.index,
                { change in
                    if link.isUp { change.isUp = true }
                    if link.mtu != now.mtu { change.mtu = link.mtu }
                    if link.queueLength != now.queueLength { change.queueLength = link.queueLength }
                }, "configure \(link.name) as it was")
        }
        let loopback = Set(network.links.filter(\.isLoopback).map(\.index))
        for raw in network.addresses {
            // Nobody else has it: it must be there at once (IFA_F_NODAD), and then be as it was.
            let isIPv6 = raw.first == 10
            let quick = isIPv6 ? CheckpointNetwork.flagged(raw, with: 0x02) : raw
            try addresses.replay(.address, quick, "bring back an address")
            if isIPv6, let index = NetworkAddress(raw: raw)?.index, !loopback.contains(index) {
                try addresses.replace(raw, "bring back an address")
            }
        }
        for raw in network.rules { try addresses.replay(.rule, raw, "bring back a rule of routing") }
        for raw in network.routes {
            do {
                try addresses.replay(.route, raw, "bring back a route")
            } catch {
                // Through an interface that is no more, for instance.
                RuntimeLog.write("\(error)")
            }
        }
    }

    /// Takes addresses away that the kernel has made and the container did not have.
    private func removeStrangers(_ network: CheckpointNetwork, _ addresses: AddressControl) {
        let known = Set(
            network.addresses.compactMap { NetworkAddress(raw: $0) }.map { [$0.index.description, $0.text] })
        for address in (try? addresses.addresses()) ?? []
        where address.isIPv6 && !known.contains([address.index.description, address.text]) {
            try? addresses.remove(address)
        }
    }

    private func replaySettings(_ wanted: (String) -> Bool) throws {
        // "all" and "default" first: they spread to the others.
        for (name, value) in record.networkSettings.sorted(by: { rank($0.key) < rank($1.key) })
        where wanted(name) && !name.split(separator: "/").contains("..") {
            try? Files.poke("/proc/sys/net/\(name)", value)
        }
    }

    private func rank(_ name: String) -> (Int, String) {
        (name.contains("/all/") ? 0 : name.contains("/default/") ? 1 : 2, name)
    }
}
