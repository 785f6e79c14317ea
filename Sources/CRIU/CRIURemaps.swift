/// What CRIU did about files whose names are gone.
public enum CRIURemaps {
    /// Kept whole within the images.
    static let ghost: UInt32 = 1
    /// A file of /proc of a process that has ended.
    private static let process: UInt32 = 2

    /// Whether CRIU has linked files back into the file system for the checkpoint (`link_remap.N`): a snapshot of the
    /// files has to have them. `remap-fpath.img` tells; it is complete at `postDump`.
    public static func linksFiles(_ image: CRIUImage) throws(CRIUError) -> Bool {
        for entry in image.entries {
            let remap: criu_remap = try image.decode(entry)
            if remap.remapType != ghost && remap.remapType != process { return true }
        }
        return false
    }
}
