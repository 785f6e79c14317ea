internal import FoundationEssentials
internal import SwiftProtobuf

extension SavedReader {
    /// CRIU's VMA_… of what is mapped.
    private enum Area {
        static let ofFile: UInt32 = 1 << 6 | 1 << 7
        static let sharedAnonymous: UInt32 = 1 << 8
        static let systemV: UInt32 = 1 << 10
        static let memoryFile: UInt32 = 1 << 14
    }

    /// What a process has of memory, and the number of its program's file. A process that has ended has none.
    mutating func memory(
        of pid: Int32, _ table: FileTable
    ) throws(CRIUError) -> (CRIUSavedState.Memory, executable: UInt32?) {
        guard let (image, bytes) = try images.entry("mm-\(pid).img", .memory) else {
            return (CRIUSavedState.Memory(), nil)
        }
        let saved: criu_saved_memory = try image.decode(bytes)
        var files: UInt64 = 0
        var shared: UInt64 = 0
        var pieces: Set<UInt64> = []
        for bytes in saved.areas {
            let area: criu_saved_area = try image.decode(Array(bytes))
            guard area.end >= area.start else {
                throw CRIUError(.badImage, "\(image.name): a piece of memory ends before it begins")
            }
            if area.status & Area.systemV != 0 {
                // Saved with the namespace, whole.
                shared = try sum(shared, area.end - area.start, image.name)
            } else if area.status & Area.memoryFile != 0 {
                // Such an area names the file, and that its memory.
                if let piece = table.memory(of: area.shared) { pieces.insert(piece) }
            } else if area.status & Area.sharedAnonymous != 0 {
                pieces.insert(area.shared)
            } else if area.status & Area.ofFile != 0 {
                files = try sum(files, area.end - area.start, image.name)
            }
        }
        for piece in pieces { shared = try sum(shared, try sharedMemory(piece), image.name) }
        let own = try images.optional("pagemap-\(pid).img", .pagemap)
        return (
            CRIUSavedState.Memory(
                own: Int64(clamping: try own.map { image throws(CRIUError) in try pages(image) } ?? 0),
                shared: Int64(clamping: shared), files: Int64(clamping: files)),
            saved.hasExecutable ? saved.executable : nil
        )
    }

    /// The bytes saved of a piece of shared memory.
    private mutating func sharedMemory(_ piece: UInt64) throws(CRIUError) -> UInt64 {
        if let size = sharedMemory[piece] { return size }
        let image = try images.optional("pagemap-shmem-\(piece).img", .pagemap)
        let size = try image.map { image throws(CRIUError) in try pages(image) } ?? 0
        sharedMemory[piece] = size
        return size
    }

    /// The bytes that a list of pages tells of.
    private func pages(_ image: CRIUImage) throws(CRIUError) -> UInt64 {
        var bytes: UInt64 = 0
        // The first entry names the file of the pages.
        for entry in image.entries.dropFirst() {
            let piece: criu_pagemap_entry = try image.decode(entry)
            guard CRIUPagemap.isSaved(piece) else { continue }
            let pages = piece.hasPages ? piece.pages : UInt64(piece.fewPages)
            let (size, overflow) = pages.multipliedReportingOverflow(by: pageSize)
            bytes = try sum(bytes, overflow ? .max : size, image.name)
        }
        return bytes
    }
}
