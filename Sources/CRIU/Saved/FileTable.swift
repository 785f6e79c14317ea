internal import FoundationEssentials
internal import Glibc
internal import SwiftProtobuf

/// Every open file there is, by its number; processes refer to them.
struct FileTable {
    var files: [UInt32: criu_saved_file] = [:]
    /// Those whose names are gone, and whose contents CRIU has saved.
    var ghosts: Set<UInt32> = []
    /// Memory files.
    var memoryFiles: [UInt64: criu_saved_memfd_inode] = [:]

    /// The name of a file.
    func name(of id: UInt32) -> String? {
        guard let file = files[id], file.hasRegular else { return nil }
        return String(decoding: file.regular.name, as: UTF8.self)
    }

    /// The number of the memory behind a memory file.
    func memory(of id: UInt64) -> UInt64? {
        guard let id = UInt32(exactly: id), let file = files[id], file.hasMemfd else { return nil }
        return memoryFiles[UInt64(file.memfd.inode)].map { UInt64($0.shared) }
    }

    /// What a process has open, in words.
    func file(_ file: criu_saved_file, pid: Int32, descriptor: Int32) -> CRIUSavedState.File {
        var result = CRIUSavedState.File(
            pid: pid, descriptor: descriptor, kind: Self.kind(of: file), path: "", access: "", position: 0,
            size: nil, isDeleted: false)
        if file.hasRegular {
            result.path = String(decoding: file.regular.name, as: UTF8.self)
            result.access = Self.access(file.regular.flags)
            result.position = file.regular.position
            result.size = file.regular.hasSize && result.kind == "file" ? file.regular.size : nil
            result.isDeleted = ghosts.contains(file.id)
        } else if file.hasPipe {
            result.path = "pipe:[\(file.pipe.pipe)]"
            result.access = Self.access(file.pipe.flags)
        } else if file.hasFifo {
            // Where it is open, and how, is told by the file it was opened by.
            result.path = name(of: file.fifo.file) ?? "pipe:[\(file.fifo.pipe)]"
            result.access = files[file.fifo.file].map { Self.access($0.regular.flags) } ?? ""
        } else if file.hasTerminal {
            result.path = name(of: file.terminal.file) ?? ""
            result.access = Self.access(file.terminal.flags)
        } else if file.hasMemfd {
            let memory = memoryFiles[UInt64(file.memfd.inode)]
            result.path = memory.map { String(decoding: $0.name, as: UTF8.self) } ?? ""
            result.access = Self.access(file.memfd.flags)
            result.position = file.memfd.position
            result.size = memory?.size
        } else if file.hasInet {
            result.path = "socket:[\(file.inet.inode)]"
        } else if file.hasUnix {
            result.path = "socket:[\(file.unix.inode)]"
        }
        return result
    }

    /// CRIU's kinds of files, by their numbers.
    private static let kinds = [
        "", "file", "pipe", "fifo", "socket", "socket", "eventfd", "epoll", "inotify", "signalfd", "socket",
        "terminal", "fanotify", "socket", "namespace", "tun", "external", "timer", "memory", "bpf", "process",
    ]

    private static func kind(of file: criu_saved_file) -> String {
        guard let number = Int(exactly: file.type), kinds.indices.contains(number), number > 0 else {
            return "kind \(file.type)"
        }
        guard file.hasRegular else { return kinds[number] }
        switch file.regular.mode & UInt32(S_IFMT) {
        case UInt32(S_IFDIR): return "directory"
        case UInt32(S_IFCHR), UInt32(S_IFBLK): return "device"
        default: return kinds[number]
        }
    }

    private static func access(_ flags: UInt32) -> String {
        switch flags & UInt32(O_ACCMODE) {
        case UInt32(O_RDONLY): "r"
        case UInt32(O_WRONLY): "w"
        default: "rw"
        }
    }
}

/// What processes have open, as it is found.
struct OpenFiles {
    let table: FileTable
    var files: [CRIUSavedState.File] = []
    /// Who has which file open, once each.
    var holders: [UInt32: [Int32]] = [:]

    init(table: FileTable) { self.table = table }
}

extension SavedReader {
    /// Reads every open file.
    mutating func fileTable() throws(CRIUError) -> FileTable {
        var table = FileTable()
        guard let image = try images.optional("files.img", .files) else { return table }
        try add(image.entries.count, image.name)
        for entry in image.entries {
            let file: criu_saved_file = try image.decode(entry)
            table.files[file.id] = file
        }
        if let image = try images.optional("remap-fpath.img", .remaps) {
            for entry in image.entries {
                let remap: criu_remap = try image.decode(entry)
                if remap.remapType == CRIURemaps.ghost { table.ghosts.insert(remap.origID) }
            }
        }
        if let image = try images.optional("memfd.img", .memoryFiles) {
            try add(image.entries.count, image.name)
            for entry in image.entries {
                let file: criu_saved_memfd_inode = try image.decode(entry)
                table.memoryFiles[file.inode] = file
            }
        }
        return table
    }

    /// Adds what a process has open.
    mutating func open(_ table: UInt32, of pid: Int32, _ open: inout OpenFiles) throws(CRIUError) {
        for descriptor in try descriptors(table) {
            guard let file = open.table.files[descriptor.id] else {
                throw CRIUError(
                    .badImage, "fdinfo-\(table).img: descriptor \(descriptor.number) is of no file")
            }
            let number = try number(descriptor.number, "fdinfo-\(table).img")
            try add(1, "the open files")
            open.files.append(open.table.file(file, pid: pid, descriptor: number))
            if open.holders[file.id]?.last != pid { open.holders[file.id, default: []].append(pid) }
        }
    }

    private mutating func descriptors(_ table: UInt32) throws(CRIUError) -> [criu_saved_descriptor] {
        if let known = descriptorTables[table] { return known }
        var result: [criu_saved_descriptor] = []
        // A process that has ended has a number of a table, but no table.
        if let image = try images.optional("fdinfo-\(table).img", .descriptors) {
            try add(image.entries.count, image.name)
            for entry in image.entries { result.append(try image.decode(entry)) }
        }
        descriptorTables[table] = result
        return result
    }
}
