package import ApusAPI

/// What a saved running state holds, as text.
package struct CheckpointReport {
    private let state: CheckpointState
    private let names: [Int64: String]

    package init(_ state: CheckpointState) {
        self.state = state
        names = Dictionary(state.processes.map { ($0.pid, $0.name) }, uniquingKeysWith: { first, _ in first })
    }

    /// All of it, or one part.
    package func text(only part: CheckpointPart?, as format: ListFormat) throws -> String {
        switch part {
        case .processes: try Rendering.list(state.processes, as: format) { processes }
        case .files: try Rendering.list(state.files, as: format) { files(state.files) }
        case .sockets: try Rendering.list(state.sockets, as: format) { sockets }
        case .timers: try Rendering.list(state.timers, as: format) { timers }
        case .mounts: try Rendering.list(state.mounts, as: format) { mounts(state.mounts) }
        case nil:
            switch format {
            case .json, .yaml: try Rendering.list(state, as: format) { processes }
            case .table, .compact, .csv: try whole(as: format)
            }
        }
    }

    private func whole(as format: ListFormat) throws -> String {
        var text = summary
        let named = state.files.filter { Self.named.contains($0.kind) && $0.path != "/dev/null" }
        // Services have namespaces of their own, with nearly the same mounts: those of the first process say enough.
        let mounts = state.mounts.filter { $0.namespace == state.mounts.first?.namespace }
        for (title, table) in [
            ("Processes", processes), ("Open files", files(named)), ("Sockets", sockets), ("Timers", timers),
            ("Mounts", self.mounts(mounts)),
        ] where !table.rows.isEmpty {
            text += "\n\(title):\n" + (format == .table ? table.bordered() : table.compact())
        }
        let others = [
            state.files.count > named.count ? "\(state.files.count - named.count) open files" : nil,
            state.mounts.count > mounts.count
                ? "\(state.mounts.count - mounts.count) mounts of other namespaces" : nil,
        ].compactMap(\.self)
        if !others.isEmpty {
            text += "\nNot shown: \(others.joined(separator: ", ")); see --only files, --only mounts\n"
        }
        return text
    }

    /// Kinds of files whose paths tell something.
    private static let named: Set = ["file", "device", "fifo", "terminal", "memory"]

    // MARK: The whole

    private var summary: String {
        let times = state.times
        let rest = times.frozen &- times.freezing &- times.memoryDump &- times.memoryWrite
        var frozen = Units.milliseconds(Double(times.frozen))
        if times.freezing > 0 || times.memoryDump > 0 || times.memoryWrite > 0 {
            frozen += " (until all stood still \(Units.milliseconds(Double(times.freezing))), "
            frozen += "finding their memory \(Units.milliseconds(Double(times.memoryDump))), "
            frozen += "writing it \(Units.milliseconds(Double(times.memoryWrite))), "
            frozen += "the rest \(Units.milliseconds(Double(max(0, rest)))))"
        }
        let sizes = [
            ("memory", "memory"), ("tmpfs", "tmpfs"), ("deleted files", "deleted_files"), ("other", "other"),
        ].map { "\($0.0) \(Units.bytes(state.sizes[$0.1] ?? 0))" }
        let threads = state.processes.reduce(0) { $0 + $1.threads.count }
        return """
            Container: \(state.container.printable)
            Taken: \(Units.moment(state.takenAt))
            By: Apus \(state.apus.printable), CRIU \(state.criu.printable), Linux \(state.kernel.printable) \
            (\(state.architecture.printable))
            Size: \(Units.bytes(state.size)) (\(sizes.joined(separator: ", ")))
            Stood still: \(frozen)
            Processes: \(state.processes.count), with \(threads) threads and \(state.files.count) open files

            """
    }

    // MARK: Parts

    private var processes: Table {
        var open: [Int64: Int] = [:]
        for file in state.files { open[file.pid, default: 0] += 1 }
        return Table(
            header: [
                "PID", "PARENT", "NAME", "STATE", "THREADS", "PRIVATE", "SHARED", "FILE-BACKED", "FILES",
                "UNIT",
            ],
            rows: ProcessTree(state.processes).lines.map { depth, process in
                [
                    String(process.pid), String(process.parent),
                    String(repeating: "  ", count: min(depth, 20)) + process.name.printable, process.state,
                    String(process.threads.count), Units.bytes(process.memoryPrivate),
                    Units.bytes(process.memoryShared), Units.bytes(process.memoryFiles),
                    String(open[process.pid] ?? 0), process.unit.printable,
                ]
            })
    }

    private func files(_ files: [CheckpointFile]) -> Table {
        Table(
            header: ["PID", "PROCESS", "FD", "KIND", "ACCESS", "SIZE", "POSITION", "PATH"],
            rows: files.map {
                [
                    String($0.pid), name($0.pid), String($0.fd), $0.kind, $0.access,
                    $0.size.map(Units.bytes) ?? "", $0.kind == "file" ? String($0.position) : "",
                    $0.path.printable + ($0.deleted ? " (deleted)" : ""),
                ]
            })
    }

    private var sockets: Table {
        Table(
            header: ["PID", "PROCESS", "KIND", "TYPE", "STATE", "LOCAL", "REMOTE", "UNREAD", "UNSENT"],
            rows: state.sockets.map {
                [
                    $0.pids.map { String($0) }.joined(separator: " "), $0.pids.first.map(name) ?? "",
                    $0.kind, $0.type, $0.state, $0.local.printable, $0.remote.printable,
                    $0.unread == 0 ? "" : Units.bytes($0.unread),
                    $0.unsent == 0 ? "" : Units.bytes($0.unsent),
                ]
            })
    }

    private var timers: Table {
        Table(
            header: ["PID", "PROCESS", "KIND", "CLOCK", "EXPIRES", "AGAIN"],
            rows: state.timers.map {
                [
                    $0.pid == 0 ? "" : String($0.pid), name($0.pid), $0.kind, $0.clock,
                    $0.left == 0 ? "not armed" : "in " + Self.span($0.left),
                    $0.interval == 0 ? "" : "every " + Self.span($0.interval),
                ]
            })
    }

    /// Whole years are how programs say never.
    private static func span(_ microseconds: Int64) -> String {
        let seconds = Double(microseconds) / 1_000_000
        switch seconds {
        case ..<1: return Units.fixed(seconds * 1000, 3) + " ms"
        case ..<86_400: return Units.fixed(seconds, 3) + " s"
        case ..<31_557_600: return Units.fixed(seconds / 86_400, 1) + " days"
        default: return Units.fixed(seconds / 31_557_600, 0) + " years"
        }
    }

    private func mounts(_ mounts: [CheckpointMount]) -> Table {
        Table(
            header: ["NAMESPACE", "PATH", "KIND", "SOURCE", "ROOT", "WRITABLE", "FROM OUTSIDE"],
            rows: mounts.map {
                [
                    String($0.namespace), $0.path.printable, $0.kind.printable, $0.source.printable,
                    $0.root.printable, $0.readonly ? "no" : "yes", $0.external ? "yes" : "no",
                ]
            })
    }

    private func name(_ pid: Int64) -> String { (names[pid] ?? "").printable }
}

/// Processes in the order of a tree, each with its depth.
struct ProcessTree {
    let lines: [(depth: Int, process: CheckpointProcess)]

    init(_ processes: [CheckpointProcess]) {
        let known = Set(processes.map(\.pid))
        var children: [Int64: [CheckpointProcess]] = [:]
        for process in processes where process.parent != process.pid && known.contains(process.parent) {
            children[process.parent, default: []].append(process)
        }
        var lines: [(Int, CheckpointProcess)] = []
        var seen: Set<Int64> = []
        // Whatever a daemon answers, each process is there once.
        let roots = processes.filter { !known.contains($0.parent) }
        for root in roots + processes where !seen.contains(root.pid) {
            var stack = [(0, root)]
            while let (depth, process) = stack.popLast() {
                guard seen.insert(process.pid).inserted else { continue }
                lines.append((depth, process))
                stack += (children[process.pid] ?? []).reversed().map { (depth + 1, $0) }
            }
        }
        self.lines = lines
    }
}
