import Glibc
import LinuxSystem

/// The code of this program in memory.
public enum ProgramText {
    /// Lets go of what is mapped of it; what is needed is mapped again when it runs. For the moments in which a daemon
    /// begins to rest: starting, or making an image, touches two thirds of the program that are not needed after.
    public static func release() {
        guard let maps = try? Files.text("/proc/self/maps", limit: 1 << 20) else { return }
        for line in maps.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 5)
            // Code that lies in a file and has not been written to: the kernel reads it again from there.
            guard words.count == 6, words[1] == "r-xp", words[5].contains("/") else { continue }
            let ends = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard ends.count == 2, ends[0] < ends[1] else { continue }
            madvise(
                UnsafeMutableRawPointer(bitPattern: ends[0]), Int(ends[1] - ends[0]), Int32(MADV_DONTNEED))
        }
    }
}
