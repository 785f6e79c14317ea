import Glibc
import LinuxSystem

/// Interfaces of the host that a container has for as long as it runs. Its network namespace is kept alive by a mount in
/// the container's runtime directory, beside a note: so they come back whoever dies first, and whoever is there cleans up.
/// Otherwise the kernel would destroy those that are not hardware, and give hardware to the first namespace of all.
public struct BorrowedInterfaces {
    private let namespaceFile: String
    private let note: String

    /// Those of the container that has this runtime directory.
    public init(runtimeDirectory: String) {
        namespaceFile = runtimeDirectory + "/network"
        note = runtimeDirectory + "/borrowed"
    }

    /// Whether there are any.
    public var isEmpty: Bool { !Files.exists(note) }

    /// Moves an interface into a network namespace.
    func borrow(_ interface: NetworkInterface, _ link: NetworkLink, _ namespace: FileDescriptor) throws {
        try pin(namespace)
        let former = (try? Files.text(note)) ?? ""
        // Noted first: whatever happens between, it is looked for.
        let line = "\(interface.name) \(link.name) \(link.address) \(link.mtu) \(link.isUp ? 1 : 0)\n"
        try Files.replace(note, Array((former + line).utf8), mode: 0o600, sync: false)
        let control = try LinkControl()
        try control.change(link.index, { $0.isUp = false }, "switch \(link.name) off")
        try control.change(
            link.index,
            { change in
                change.namespace = namespace
                change.name = interface.name
            }, "give \(link.name) to the container")
        let inside = try LinkControl(in: namespace)
        guard let moved = try inside.link(interface.name) else { return }
        try inside.change(
            moved.index,
            { change in
                change.address = interface.address
                change.mtu = interface.mtu
            }, "configure \(interface.name)")
    }

    /// Moves them back to the host, or only one of them, as they were. Those that are no more are forgotten.
    public func giveBack(_ name: String? = nil) throws {
        guard let text = try? Files.text(note) else { return }
        let lines = text.split(separator: "\n")
        var failure: (any Error)?
        var left: [Substring] = []
        if let namespace = try? FileDescriptor.open(namespaceFile, O_RDONLY) {
            let home = try FileDescriptor.open("/proc/thread-self/ns/net", O_RDONLY)
            for line in lines {
                let words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
                guard words.count == 5 else { continue }
                guard name == nil || words[0] == name else {
                    left.append(line)
                    continue
                }
                do { try move(words, from: namespace, to: home) } catch { failure = failure ?? error }
            }
        }
        if left.isEmpty {
            unlink(note)
            try Mount.unmountAll(below: namespaceFile)
            unlink(namespaceFile)
        } else {
            let text = left.joined(separator: "\n") + "\n"
            try Files.replace(note, Array(text.utf8), mode: 0o600, sync: false)
        }
        if let failure { throw failure }
    }

    private func move(_ words: [String], from namespace: FileDescriptor, to home: FileDescriptor) throws {
        let inside = try LinkControl(in: namespace)
        guard let link = try inside.link(words[0]) else { return }
        try inside.change(link.index, { $0.isUp = false }, "switch \(words[0]) off in the container")
        try inside.change(
            link.index,
            { change in
                change.address = words[2]
                change.mtu = UInt32(words[3])
            }, "make \(words[0]) what it was")
        try inside.change(
            link.index,
            { change in
                change.namespace = home
                change.name = words[1]
            }, "give \(words[1]) back to the host")
        guard words[4] == "1" else { return }
        let control = try LinkControl()
        guard let back = try control.link(words[1]) else { return }
        try control.change(back.index, { $0.isUp = true }, "switch \(words[1]) on")
    }

    /// Keeps a network namespace alive, also without a process in it.
    private func pin(_ namespace: FileDescriptor) throws {
        guard isEmpty else { return }
        try Files.replace(namespaceFile, [], mode: 0o600, sync: false)
        try Mount.bind("/proc/self/fd/\(namespace.rawValue)", on: namespaceFile)
    }
}
