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
        var room = [UInt8](repeating: 0, count: PageRequest.length)
        while true {
            try receive(&room)
            let request = PageRequest(room)
            switch request.command {
            case PageRequest.get: try answer(request)
            case PageRequest.close, PageRequest.forceClose:
                // All have come: four zero bytes say that this is known here.
                return try send([0, 0, 0, 0], more: false)
            default:
                throw CRIUError(
                    .protocolViolation, "the other side sent the command \(request.command) for pages")
            }
        }
    }

    private func answer(_ request: PageRequest) throws {
        guard let memory = memory[request.task], request.pages > 0, request.pages <= PageRequest.mostPages
        else {
            throw CRIUError(
                .protocolViolation,
                "the other side asked for \(request.pages) pages of process \(request.task)")
        }
        let length = Int(request.pages) * Self.pageSize
        var header = request
        header.command = PageRequest.addPresent
        var room = [UInt8](repeating: 0, count: PageRequest.length + length)
        room.replaceSubrange(0..<PageRequest.length, with: header.bytes)
        var filled = 0
        while filled < length {
            let count = room.withUnsafeMutableBytes { buffer in
                pread(
                    memory.rawValue, buffer.baseAddress?.advanced(by: PageRequest.length + filled),
                    length - filled, off_t(truncatingIfNeeded: request.address) + off_t(filled))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw SystemError(
                    call: "pread", errno: count == 0 ? ESRCH : errno,
                    context: "read the memory of process \(request.task)")
            }
            filled += count
        }
        try send(room, more: false)
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

    private func send(_ bytes: [UInt8], more: Bool) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                Glibc.send(
                    socket.rawValue, buffer.baseAddress?.advanced(by: sent), buffer.count - sent,
                    Int32(MSG_NOSIGNAL))
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
