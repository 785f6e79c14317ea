internal import Glibc
public import LinuxSystem
internal import Synchronization

/// Serves the pages that a lazy dump has left with its tasks to the `CRIULazyPages` at the other end of a socket, which
/// asks for them one range after the other: CRIU's page-server protocol.
///
/// The tasks have to stand still for as long as this goes on: from the dump's `postDump` until its handler returns.
/// CRIU's own server of pages begins only after that, when the tasks can no longer be resumed in good order, and a
/// restore needs some pages before it is complete (the kernel writes into each thread's rseq area).
public final class CRIUPageSource: Sendable {
    private let memory: [UInt64: FileDescriptor]
    private let served = Atomic<Int64>(0)
    private let socket: FileDescriptor

    /// How many pages have been sent so far.
    public var pagesServed: Int64 { served.load(ordering: .relaxed) }

    /// A server for the tasks from `initPID` on. The socket belongs to it, and is closed with it.
    public init(initPID: Int32, socket: FileDescriptor) throws {
        self.socket = socket
        var memory: [UInt64: FileDescriptor] = [:]
        for pid in Proc.tree(from: initPID) {
            // A zombie has no memory.
            guard let inside = try? Self.numberInside(pid),
                let file = try? FileDescriptor.open("/proc/\(pid)/mem", O_RDONLY)
            else { continue }
            memory[UInt64(inside)] = file
        }
        self.memory = memory
    }

    /// Serves until the other side has all it wants. Throws if it goes away before that. Cancelling the task ends it.
    public func serve() async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                inDetachedThread { [self] in
                    let result = Result { try serveBlocking() }
                    socket.close()
                    continuation.resume(with: result)
                }
            }
        } onCancel: {
            cancel()
        }
    }

    /// Ends the service.
    public func cancel() {
        if socket.isOpen { _ = shutdown(socket.rawValue, Int32(SHUT_RDWR)) }
    }

    private func serveBlocking() throws {
        try socket.setNonBlocking(false)
        PageSocket.widen(socket)
        // Programs wait for what is sent here; the thread is others' afterwards.
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, -10)
        defer { _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 0) }
        var room = [UInt8](repeating: 0, count: PageRequest.length)
        var pages = [UInt8](repeating: 0, count: Int(PageRequest.mostPages) * Self.pageSize)
        while true {
            try receive(&room)
            let request = PageRequest(room)
            switch request.command {
            case PageRequest.get: try answer(request, &pages)
            case PageRequest.close, PageRequest.forceClose:
                // All have come: four zero bytes say that this is known here.
                return try send([0, 0, 0, 0], 4)
            default:
                throw CRIUError(
                    .protocolViolation, "the other side sent the command \(request.command) for pages")
            }
        }
    }

    private func answer(_ request: PageRequest, _ room: inout [UInt8]) throws {
        guard let memory = memory[request.task], request.pages > 0, request.pages <= PageRequest.mostPages
        else {
            throw CRIUError(
                .protocolViolation,
                "the other side asked for \(request.pages) pages of process \(request.task)")
        }
        let length = Int(request.pages) * Self.pageSize
        var filled = 0
        while filled < length {
            let count = room.withUnsafeMutableBytes { buffer in
                pread(
                    memory.rawValue, buffer.baseAddress?.advanced(by: filled), length - filled,
                    off_t(truncatingIfNeeded: request.address) + off_t(filled))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw SystemError(
                    call: "pread", errno: count == 0 ? ESRCH : errno,
                    context: "read the memory of process \(request.task)")
            }
            filled += count
        }
        var header = request
        header.command = PageRequest.addPresent
        try send(header.bytes, PageRequest.length, more: true)
        try send(room, length)
        served.add(Int64(request.pages), ordering: .relaxed)
    }

    private func receive(_ room: inout [UInt8]) throws {
        var filled = 0
        while filled < room.count {
            let count = room.withUnsafeMutableBytes { buffer in
                recv(socket.rawValue, buffer.baseAddress?.advanced(by: filled), buffer.count - filled, 0)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw CRIUError(
                    .connectionClosed, "the other side went away before it had all pages",
                    errnoCode: count < 0 ? errno : nil)
            }
            filled += count
        }
    }

    private func send(_ bytes: [UInt8], _ length: Int, more: Bool = false) throws {
        let flags = Int32(MSG_NOSIGNAL) | (more ? Int32(MSG_MORE) : 0)
        var sent = 0
        while sent < length {
            let count = bytes.withUnsafeBytes { buffer in
                Glibc.send(socket.rawValue, buffer.baseAddress?.advanced(by: sent), length - sent, flags)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw CRIUError(
                    .connectionClosed, "the other side went away before it had all pages", errnoCode: errno)
            }
            sent += count
        }
    }

    private static func numberInside(_ pid: pid_t) throws -> UInt32 {
        let numbers = (try ProcessStatus.fields(pid: pid)["NSpid"] ?? "").split(whereSeparator: {
            $0 == "\t" || $0 == " "
        })
        // In the namespace of init, which is the first one below ours.
        return UInt32(numbers.count > 1 ? numbers[1] : numbers.first ?? "") ?? UInt32(pid)
    }

    private static let pageSize = Int(sysconf(Int32(_SC_PAGESIZE)))
}

/// A socket that memory pages travel through.
public enum PageSocket {
    /// Lets the sender run ahead of the receiver by some megabytes, so that the two need not take turns.
    public static func widen(_ socket: FileDescriptor) {
        var size: Int32 = 4 << 20
        let length = socklen_t(MemoryLayout<Int32>.size)
        if setsockopt(socket.rawValue, SOL_SOCKET, SO_SNDBUFFORCE, &size, length) != 0 {
            // Not more than the administrator allows, where root is not quite root.
            _ = setsockopt(socket.rawValue, SOL_SOCKET, SO_SNDBUF, &size, length)
        }
    }
}

/// CRIU's `struct page_server_iov`: a command, four bytes of nothing, then three numbers of eight bytes.
struct PageRequest {
    static let length = 32
    /// CRIU asks for 4 MiB at most (MAX_XFER_LEN).
    static let mostPages: UInt64 = 1024

    static let get: UInt32 = 7
    static let close: UInt32 = 0x1023
    static let forceClose: UInt32 = 0x1024
    /// PS_IOV_ADD_F with PE_PRESENT.
    static let addPresent: UInt32 = 6 | 4 << 16

    var command: UInt32
    var pages: UInt64
    var address: UInt64
    /// The task, by its number inside.
    var task: UInt64

    /// Reads one of `length` bytes.
    init(_ bytes: [UInt8]) {
        func number(_ offset: Int, _ size: Int) -> UInt64 {
            (0..<size).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
        }
        command = UInt32(number(0, 4))
        pages = number(8, 8)
        address = number(16, 8)
        task = number(24, 8)
    }

    /// As it travels.
    var bytes: [UInt8] {
        func split(_ number: UInt64) -> [UInt8] {
            (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(8 * $0)) }
        }
        return split(UInt64(command)) + split(pages) + split(address) + split(task)
    }
}
