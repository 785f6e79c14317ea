internal import LinuxSystem
internal import SwiftProtobuf

/// Which pages of memory the images of a dump tell of.
public enum CRIUPagemap {
    /// How many pages of all tasks are not in the images, but come later (`CRIUDumpOptions.Pages.lazy`).
    public static func lazyPages(directory: String) throws -> Int64 {
        try Files.names(in: directory).filter(isOfTask).reduce(0) { sum, name in
            let image = try CRIUImage(path: "\(directory)/\(name)", magic: .pagemap)
            // The first entry names the file of the pages.
            return try image.entries.dropFirst().reduce(sum) { sum, bytes in
                let entry: criu_pagemap_entry = try image.decode(bytes)
                guard entry.flags & lazy != 0, entry.flags & present == 0 else { return sum }
                return sum + Int64(clamping: entry.hasPages ? entry.pages : UInt64(entry.fewPages))
            }
        }
    }

    /// `pagemap-N.img` is that of a task, by its number inside; shared memory has `pagemap-shmem-N.img`.
    private static func isOfTask(_ name: String) -> Bool {
        name.hasPrefix("pagemap-") && name.hasSuffix(".img")
            && Int32(name.dropFirst("pagemap-".count).dropLast(".img".count)) != nil
    }

    /// Whether pages are in these images, in those these build upon, or are to come.
    static func isSaved(_ entry: criu_pagemap_entry) -> Bool {
        !entry.hasFlags || entry.flags & (parent | lazy | present) != 0
    }

    /// CRIU's PE_PARENT, PE_LAZY and PE_PRESENT.
    private static let parent: UInt32 = 1
    private static let lazy: UInt32 = 2
    private static let present: UInt32 = 4
}
