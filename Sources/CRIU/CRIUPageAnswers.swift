/// Gives a dump the answers of the page server that it need not wait for.
///
/// For each process, and each piece of shared memory, CRIU asks whether there are older pages of it, and goes on only when
/// it knows. Where memory goes to another machine in one go there never are, so that the answer is known here: no way
/// there and back for each, while the container stands still. A pure value: what passes in, what is to be done out.
public struct CRIUPageAnswers: Sendable {
    private static let add: UInt32 = 1
    private static let open: UInt32 = 4
    private static let addWithFlags: UInt32 = 6
    /// PE_PRESENT: the pages themselves follow.
    private static let present: UInt32 = 4
    private let pageSize: UInt64

    private var head: [UInt8] = []
    /// Bytes of pages that are still to pass.
    private var rest: UInt64 = 0
    /// Answers that the page server is going to give, too.
    private var given = 0

    /// For a dump that begins.
    /// - Parameter pageSize: the bytes in a page.
    public init(pageSize: Int) { self.pageSize = UInt64(pageSize) }

    /// Looks at bytes on their way to the page server.
    /// - Returns: what the dump is to be answered at once.
    public mutating func sent(_ bytes: [UInt8]) -> [UInt8] {
        var answers: [UInt8] = []
        var offset = 0
        while offset < bytes.count {
            if rest > 0 {
                let passing = min(UInt64(bytes.count - offset), rest)
                rest -= passing
                offset += Int(passing)
                continue
            }
            let count = min(PageRequest.length - head.count, bytes.count - offset)
            head += bytes[offset..<offset + count]
            offset += count
            guard head.count == PageRequest.length else { break }
            let request = PageRequest(head)
            head = []
            switch request.command & 0xffff {
            case Self.open:
                given += 1
                answers.append(0)
            case Self.add: rest = request.pages * pageSize
            case Self.addWithFlags where request.command >> 16 & Self.present != 0:
                rest = request.pages * pageSize
            default: break
            }
        }
        return answers
    }

    /// Looks at bytes on their way back.
    /// - Returns: what of them the dump does not know yet.
    public mutating func received(_ bytes: [UInt8]) -> [UInt8] {
        let known = min(given, bytes.count)
        given -= known
        return known == 0 ? bytes : Array(bytes[known...])
    }
}
