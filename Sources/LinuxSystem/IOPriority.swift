import CLinux
public import Glibc

/// The I/O scheduling class and level of a thread, as ioprio_set(2) has them.
public struct IOPriority: Sendable, Hashable {
    /// Class in the upper bits, level in the lower ones; 0: none was set.
    public var rawValue: Int32

    /// From class and level in one number.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// What a thread was given; nil if it has what follows from its nice value.
    /// - Throws: `SystemError` if there is no such thread.
    public static func ofThread(_ thread: pid_t) throws -> IOPriority? {
        let value = try check("ioprio_get", "read the I/O priority of task \(thread)") {
            apus_ioprio_get(thread)
        }
        // Class 0, IOPRIO_CLASS_NONE, says that nobody has set it.
        return value >> 13 == 0 ? nil : IOPriority(rawValue: value)
    }

    /// Gives it to a thread.
    /// - Throws: `SystemError`; class 1 (real time) needs CAP_SYS_ADMIN or CAP_SYS_NICE.
    public func set(ofThread thread: pid_t) throws {
        try check("ioprio_set", "set the I/O priority of task \(thread)") {
            apus_ioprio_set(thread, rawValue)
        }
    }
}
