package import ApusAPI

/// What came, went, grew and shrank from one saved running state to another.
package struct CheckpointDifference: Codable, Sendable, Equatable {
    /// One thing that differs.
    package struct Change: Codable, Sendable, Equatable {
        /// "came", "went", "grew" or "shrank".
        package var change: String
        /// "process", "memory", "file", "socket" or "mount".
        package var what: String
        /// The process; nil for a mount.
        package var pid: Int64?
        /// Its name.
        package var process: String
        /// What it is: a path, a socket's addresses, the kind of memory.
        package var object: String
        /// Bytes before, of what has a size.
        package var before: Int64?
        /// Bytes after.
        package var after: Int64?
    }

    /// The earlier state's name.
    package var from: String
    /// The later one's.
    package var to: String
    /// What differs: processes, memory, files, sockets, mounts.
    package var changes: [Change]

    /// Compares two states. A process is the same if its number and its name are.
    package init(_ from: String, _ before: CheckpointState, _ to: String, _ after: CheckpointState) {
        self.from = from
        self.to = to
        changes =
            Self.processes(before, after) + Self.memory(before, after) + Self.files(before, after)
            + Self.sockets(before, after) + Self.mounts(before, after)
    }

    // MARK: Processes and their memory

    private struct ProcessKey: Hashable {
        var pid: Int64
        var name: String

        init(_ process: CheckpointProcess) {
            pid = process.pid
            name = process.name
        }
    }

    private static func byKey(_ state: CheckpointState) -> [ProcessKey: CheckpointProcess] {
        Dictionary(state.processes.map { (ProcessKey($0), $0) }, uniquingKeysWith: { first, _ in first })
    }

    private static func processes(_ before: CheckpointState, _ after: CheckpointState) -> [Change] {
        let (old, new) = (byKey(before), byKey(after))
        func change(_ word: String, _ process: CheckpointProcess) -> Change {
            let size = process.memoryPrivate
            return Change(
                change: word, what: "process", pid: process.pid, process: process.name,
                object: process.executable, before: word == "went" ? size : nil,
                after: word == "came" ? size : nil)
        }
        return before.processes.filter { new[ProcessKey($0)] == nil }.map { change("went", $0) }
            + after.processes.filter { old[ProcessKey($0)] == nil }.map { change("came", $0) }
    }

    private static func memory(_ before: CheckpointState, _ after: CheckpointState) -> [Change] {
        let old = byKey(before)
        return after.processes.flatMap { process -> [Change] in
            guard let former = old[ProcessKey(process)] else { return [] }
            return [
                ("private", former.memoryPrivate, process.memoryPrivate),
                ("shared", former.memoryShared, process.memoryShared),
                ("file-backed", former.memoryFiles, process.memoryFiles),
            ].compactMap { kind, before, after in
                grown("memory", process.pid, process.name, kind, before, after)
            }
        }
    }

    private static func grown(
        _ what: String, _ pid: Int64?, _ process: String, _ object: String, _ before: Int64, _ after: Int64
    ) -> Change? {
        guard before != after else { return nil }
        return Change(
            change: after > before ? "grew" : "shrank", what: what, pid: pid, process: process,
            object: object, before: before, after: after)
    }

    // MARK: Files

    private struct FileKey: Hashable {
        var process: ProcessKey
        var descriptor: Int64
        var kind: String
        var path: String
    }

    /// The files of processes that are in both: what others have goes, or comes, with them.
    private static func files(_ before: CheckpointState, _ after: CheckpointState) -> [Change] {
        let both = Set(byKey(before).keys).intersection(byKey(after).keys)
        let (old, new) = (files(before, of: both), files(after, of: both))
        func change(_ word: String, _ key: FileKey) -> Change {
            Change(
                change: word, what: "file", pid: key.process.pid, process: key.process.name,
                object: key.path.isEmpty ? key.kind : key.path, before: nil, after: nil)
        }
        let went = old.filter { new.sizes[$0] == nil }.map { change("went", $0) }
        let came = new.filter { old.sizes[$0] == nil }.map { change("came", $0) }
        let grew = new.keys.compactMap { key -> Change? in
            guard let before = old.sizes[key] ?? nil, let after = new.sizes[key] ?? nil else { return nil }
            return grown("file", key.process.pid, key.process.name, key.path, before, after)
        }
        return went + came + grew
    }

    private struct FileList {
        var keys: [FileKey] = []
        var sizes: [FileKey: Int64?] = [:]

        func filter(_ isIncluded: (FileKey) -> Bool) -> [FileKey] { keys.filter(isIncluded) }
    }

    private static func files(_ state: CheckpointState, of processes: Set<ProcessKey>) -> FileList {
        let names = Dictionary(
            state.processes.map { ($0.pid, ProcessKey($0)) }, uniquingKeysWith: { first, _ in first })
        var list = FileList()
        // Sockets are told of by their addresses.
        for file in state.files where file.kind != "socket" {
            guard let process = names[file.pid], processes.contains(process) else { continue }
            let key = FileKey(process: process, descriptor: file.fd, kind: file.kind, path: file.path)
            // Of files that are only added to, CRIU keeps no size; where the next line goes says as much.
            let size = file.size ?? (file.kind == "file" ? file.position : nil)
            if list.sizes.updateValue(size, forKey: key) == nil { list.keys.append(key) }
        }
        return list
    }

    // MARK: Sockets and mounts

    private struct SocketKey: Hashable {
        var pids: [Int64]
        var text: String

        init(_ socket: CheckpointSocket) {
            pids = socket.pids
            text = [socket.kind, socket.type, socket.state, socket.local, socket.remote]
                .filter { !$0.isEmpty }.joined(separator: " ")
        }
    }

    private static func sockets(_ before: CheckpointState, _ after: CheckpointState) -> [Change] {
        func change(_ word: String, _ key: SocketKey, _ state: CheckpointState) -> Change {
            let process = state.processes.first { $0.pid == key.pids.first }
            return Change(
                change: word, what: "socket", pid: key.pids.first, process: process?.name ?? "",
                object: key.text, before: nil, after: nil)
        }
        let (went, came) = differing(before.sockets.map(SocketKey.init), after.sockets.map(SocketKey.init))
        return went.map { change("went", $0, before) } + came.map { change("came", $0, after) }
    }

    private static func mounts(_ before: CheckpointState, _ after: CheckpointState) -> [Change] {
        // Namespaces are numbered anew each time.
        func keys(_ state: CheckpointState) -> [[String]] {
            state.mounts.filter { $0.namespace == state.mounts.first?.namespace }
                .map { [$0.path, $0.kind, $0.source, $0.root] }
        }
        func change(_ word: String, _ key: [String]) -> Change {
            Change(
                change: word, what: "mount", pid: nil, process: "", object: key[0], before: nil, after: nil)
        }
        let (went, came) = differing(keys(before), keys(after))
        return went.map { change("went", $0) } + came.map { change("came", $0) }
    }

    /// What is in one list alone, or more often there.
    private static func differing<Key: Hashable>(_ old: [Key], _ new: [Key]) -> (went: [Key], came: [Key]) {
        func without(_ list: [Key], _ others: [Key]) -> [Key] {
            var counts: [Key: Int] = [:]
            for other in others { counts[other, default: 0] += 1 }
            return list.filter { key in
                guard let count = counts[key], count > 0 else { return true }
                counts[key] = count - 1
                return false
            }
        }
        return (without(old, new), without(new, old))
    }

    // MARK: For people

    /// The differences as rows.
    package var table: Table {
        Table(
            header: ["CHANGE", "WHAT", "PID", "PROCESS", "OBJECT", "BEFORE", "AFTER"],
            rows: changes.map {
                [
                    $0.change, $0.what, $0.pid.map { String($0) } ?? "", $0.process.printable,
                    $0.object.printable, $0.before.map(Units.bytes) ?? "", $0.after.map(Units.bytes) ?? "",
                ]
            })
    }
}
