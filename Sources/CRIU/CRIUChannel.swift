internal import Glibc

/// One end of the socket pair between this process and `criu swrk`: a message a packet, descriptors beside it.
final class CRIUChannel {
    private(set) var descriptor: Int32
    /// CRIU's largest message is a few kilobytes; more is a mistake.
    private static let largestMessage = 1 << 20

    /// Makes a pair; the second descriptor is the one CRIU inherits.
    static func pair() throws(CRIUError) -> (ours: CRIUChannel, theirs: Int32) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw CRIUError(
                .system, "cannot make a socket pair for CRIU: \(errorText(errno))", errnoCode: errno)
        }
        return (CRIUChannel(descriptor: ends[0]), ends[1])
    }

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit { close() }

    /// Closes the channel; CRIU ends when it notices.
    func close() {
        guard descriptor >= 0 else { return }
        _ = Glibc.close(descriptor)
        descriptor = -1
    }

    /// Sends one message.
    func send(_ bytes: [UInt8]) throws(CRIUError) {
        while true {
            let sent = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
            if sent == bytes.count { return }
            if sent < 0 && errno == EINTR { continue }
            let code = errno
            throw CRIUError(
                code == EPIPE || code == ECONNRESET ? .connectionClosed : .system,
                "cannot send to CRIU: \(errorText(code))", errnoCode: code)
        }
    }

    /// Waits for one message; nil when CRIU has gone.
    func receive() throws(CRIUError) -> (bytes: [UInt8], descriptor: Int32?)? {
        guard let size = try waitForMessage() else { return nil }
        guard size <= Self.largestMessage else {
            throw CRIUError(.protocolViolation, "CRIU announced a message of \(size) bytes")
        }
        var bytes = [UInt8](repeating: 0, count: size)
        var control = [UInt8](repeating: 0, count: 64)
        var received = 0
        var descriptors: [Int32] = []
        repeat {
            received = bytes.withUnsafeMutableBytes { buffer in
                control.withUnsafeMutableBytes { ancillary in
                    var vector = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
                    return withUnsafeMutablePointer(to: &vector) { vector in
                        var header = msghdr()
                        header.msg_iov = vector
                        header.msg_iovlen = 1
                        header.msg_control = ancillary.baseAddress
                        header.msg_controllen = ancillary.count
                        let count = recvmsg(descriptor, &header, Int32(MSG_CMSG_CLOEXEC))
                        if count >= 0 {
                            descriptors = Self.descriptors(in: ancillary, length: header.msg_controllen)
                        }
                        return count
                    }
                }
            }
        } while received < 0 && errno == EINTR
        guard received == size else {
            throw CRIUError(.system, "cannot read CRIU's answer: \(errorText(errno))", errnoCode: errno)
        }
        for extra in descriptors.dropFirst() { _ = Glibc.close(extra) }
        return (bytes, descriptors.first)
    }

    private func waitForMessage() throws(CRIUError) -> Int? {
        while true {
            let size = recv(descriptor, nil, 0, Int32(MSG_PEEK) | Int32(MSG_TRUNC))
            if size > 0 { return size }
            if size == 0 { return nil }
            if errno == EINTR { continue }
            if errno == ECONNRESET { return nil }
            throw CRIUError(.system, "cannot read from CRIU: \(errorText(errno))", errnoCode: errno)
        }
    }

    /// Takes the descriptors out of a control message: length, level and type, then the numbers.
    private static func descriptors(in control: UnsafeMutableRawBufferPointer, length: Int) -> [Int32] {
        let headerSize = MemoryLayout<cmsghdr>.size
        guard length >= headerSize else { return [] }
        let header = control.loadUnaligned(as: cmsghdr.self)
        guard header.cmsg_level == SOL_SOCKET, header.cmsg_type == Int32(SCM_RIGHTS) else { return [] }
        let end = min(Int(header.cmsg_len), length)
        return stride(from: headerSize, to: end - 3, by: 4).map {
            control.loadUnaligned(fromByteOffset: $0, as: Int32.self)
        }
    }
}

/// The system's words for an error number.
func errorText(_ code: Int32) -> String {
    String(cString: strerror(code))
}
