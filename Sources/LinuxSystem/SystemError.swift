import CLinux
import Glibc

/// A system call that failed: what was being done, to what, and what the kernel said.
public struct SystemError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The call that failed, such as `mount`.
    public let call: String
    /// The kernel's errno.
    public let errno: Int32
    /// What was being done, in plain words: `mount the root file system at /x`.
    public let context: String

    /// An error with a known errno.
    public init(call: String, errno: Int32, context: String) {
        self.call = call
        self.errno = errno
        self.context = context
    }

    /// An error with the errno of this moment. Make it at once after the call.
    public init(_ call: String, _ context: String) {
        self.init(call: call, errno: Glibc.errno, context: context)
    }

    /// The kernel's words for the errno, such as `No such file or directory`.
    public var reason: String { SystemError.reason(errno) }

    /// One sentence: `cannot mount …: Permission denied (mount)`.
    public var description: String { "cannot \(context): \(reason) (\(call))" }

    /// The kernel's words for an errno.
    public static func reason(_ errno: Int32) -> String {
        var room = [CChar](repeating: 0, count: 256)
        apus_error_text(errno, &room, room.count)
        return String(decoding: room.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Makes the call, again as long as a signal interrupts it, and throws what the kernel said if it returns -1.
@discardableResult
public func check<T: SignedInteger>(
    _ call: String, _ context: @autoclosure () -> String, _ body: () -> T
) throws -> T {
    while true {
        let result = body()
        if result != -1 { return result }
        let code = Glibc.errno
        if code == EINTR { continue }
        throw SystemError(call: call, errno: code, context: context())
    }
}
