import CLinux

/// What this program keeps of the memory it has freed.
public enum Heap {
    /// Gives memory back to the kernel soon: for a program that works hard now and then, and rests for days. Call it
    /// first of all.
    ///
    /// By itself glibc takes the largest block ever freed for a sign that more of them will be wanted, and keeps
    /// megabytes in the arena of each thread that ever unpacked or copied something.
    public static func staySmall() { apus_heap_stay_small() }
}
