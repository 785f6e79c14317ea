internal import FoundationEssentials
internal import SwiftProtobuf

/// Puts together what the images tell of each process.
struct SavedReader {
    /// Most processes, threads, files, sockets, timers and mounts that are told of, all together.
    static let mostRows = 250_000

    var images: SavedImages
    let pageSize: UInt64
    /// How much there is by now.
    private var rows = 0
    /// Bytes saved of pieces of shared memory, by their numbers.
    var sharedMemory: [UInt64: UInt64] = [:]
    /// Tables of descriptors, by their numbers: processes may share one.
    var descriptorTables: [UInt32: [criu_saved_descriptor]] = [:]

    init(_ images: SavedImages, pageSize: UInt64) {
        self.images = images
        self.pageSize = pageSize
    }

    /// Reads everything.
    mutating func state() throws(CRIUError) -> CRIUSavedState {
        let files = try fileTable()
        var processes: [CRIUSavedState.Process] = []
        var timers: [CRIUSavedState.Timer] = []
        var open = OpenFiles(table: files)
        let tree = try images.required("pstree.img", .processTree)
        try add(tree.entries.count, tree.name)
        var known: Set<Int32> = []
        for entry in tree.entries {
            let saved: criu_process = try tree.decode(entry)
            try add(saved.threads.count, tree.name)
            let process = try process(saved, tree.name, files, &open, &timers)
            guard known.insert(process.pid).inserted else {
                throw CRIUError(.badImage, "\(tree.name): process \(process.pid) is there twice")
            }
            guard process.parent == 0 || (known.contains(process.parent) && process.parent != process.pid)
            else {
                throw CRIUError(
                    .badImage, "\(tree.name): process \(process.pid) has no parent \(process.parent)")
            }
            processes.append(process)
        }
        let sockets = try sockets(files, open.holders)
        timers += try timerDescriptors(files, open.holders)
        try add(timers.count, "the timers")
        let mounts = try mounts(of: processes)
        return CRIUSavedState(
            processes: processes, files: open.files, sockets: sockets, timers: timers, mounts: mounts)
    }

    private mutating func process(
        _ saved: criu_process, _ name: String, _ table: FileTable, _ open: inout OpenFiles,
        _ timers: inout [CRIUSavedState.Timer]
    ) throws(CRIUError) -> CRIUSavedState.Process {
        let pid = try number(saved.pid, name)
        guard let (image, bytes) = try images.entry("core-\(pid).img", .core) else {
            throw CRIUError(.badImage, "core-\(pid).img is missing from the images")
        }
        let core: criu_saved_core = try image.decode(bytes)
        guard core.hasTask else {
            throw CRIUError(.badImage, "\(image.name) does not tell of a process")
        }
        timers += try self.timers(core.task.timers, of: pid, image)
        var threads: [Int32] = []
        for thread in saved.threads { threads.append(try number(thread, name)) }
        let (memory, executable) = try memory(of: pid, table)
        let ids = try ids(of: pid)
        if let ids { try self.open(ids.files, of: pid, &open) }
        return CRIUSavedState.Process(
            pid: pid, parent: try number(saved.ppid, name), group: try number(saved.pgid, name),
            session: try number(saved.sid, name), name: text(core.task.name),
            state: state(core.task.state), threads: threads,
            executable: executable.flatMap { table.name(of: $0) } ?? "", memory: memory,
            mountNamespace: ids?.mounts ?? 0)
    }

    private mutating func ids(of pid: Int32) throws(CRIUError) -> criu_saved_ids? {
        guard let (image, bytes) = try images.entry("ids-\(pid).img", .identities) else { return nil }
        return try image.decode(bytes)
    }

    /// CRIU's TASK_…
    private func state(_ saved: UInt32) -> CRIUSavedState.ProcessState {
        switch saved {
        case 2, 6: .ended
        case 3: .stopped
        default: .running
        }
    }

    // MARK: With care

    /// Counts what is told of.
    mutating func add(_ count: Int, _ what: String) throws(CRIUError) {
        rows += count
        guard rows <= Self.mostRows else {
            throw CRIUError(.badImage, "the images tell of more than can be shown (\(what))")
        }
    }

    /// The number of a process, a descriptor.
    func number(_ saved: UInt32, _ name: String) throws(CRIUError) -> Int32 {
        guard let number = Int32(exactly: saved) else {
            throw CRIUError(.badImage, "\(name): \(saved) is not the number of anything")
        }
        return number
    }

    /// Adds up sizes.
    func sum(_ left: UInt64, _ right: UInt64, _ name: String) throws(CRIUError) -> UInt64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        guard !overflow, sum <= UInt64(Int64.max) else {
            throw CRIUError(.badImage, "\(name): there is no such amount of memory")
        }
        return sum
    }

    /// Names are bytes to the kernel.
    func text(_ bytes: Data) -> String { String(decoding: bytes, as: UTF8.self) }
}
