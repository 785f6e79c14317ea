import CStorage
import Glibc

/// A file call that failed: which, on what, and why. Becomes a `StorageError` where the caller's words are
/// known.
package struct FileFailure: Error, CustomStringConvertible {
    /// The call: `open`, `write` …
    package let call: String
    /// The file, as far as it is known.
    package let path: String
    /// Its errno.
    package let errno: Int32

    /// A failure of `call`, with the errno or a negative errno of the C room.
    package init(_ call: String, _ path: String, _ errno: Int32) {
        self.call = call
        self.path = path
        self.errno = abs(errno)
    }

    /// `write etc/passwd: No space left on device`.
    package var description: String {
        let reason = String(cString: strerror(errno))
        return path.isEmpty ? "\(call): \(reason)" : "\(call) \(path): \(reason)"
    }

    /// Whether the file system had no room left.
    var isOutOfSpace: Bool { errno == ENOSPC || errno == EDQUOT }
}

extension StorageError {
    /// The error of an operation (`cannot copy container c1`) for what stopped it.
    static func wrapping(_ error: any Error, doing action: String, in pool: String) -> any Error {
        switch error {
        case let error as FileFailure where error.isOutOfSpace:
            StorageError(
                .noSpace,
                "\(action): the file system of \(pool) is full (\(error)). Make room there, then try again",
                errno: error.errno)
        case let error as FileFailure:
            StorageError(.system, "\(action): \(error)", errno: error.errno)
        default:
            error
        }
    }
}

/// Throws the failure a negative result of the C room stands for; else hands the result through.
@discardableResult
func checked<Value: SignedInteger & FixedWidthInteger>(
    _ result: Value, _ call: String, _ path: @autoclosure () -> String
) throws -> Value {
    if result < 0 { throw FileFailure(call, path(), Int32(truncatingIfNeeded: -result)) }
    return result
}

/// The same for a call of libc, which says -1 and sets errno.
@discardableResult
func posix(_ result: Int32, _ call: String, _ path: @autoclosure () -> String) throws -> Int32 {
    if result < 0 { throw FileFailure(call, path(), Glibc.errno) }
    return result
}
