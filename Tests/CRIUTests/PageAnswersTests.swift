import CRIU
import Testing

@Suite struct PageAnswersTests {
    /// A command of CRIU's, and pages behind it.
    private func command(_ number: UInt32, pages: UInt64 = 0, sent: Int = 0) -> [UInt8] {
        func bytes(_ number: UInt64) -> [UInt8] {
            (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) }
        }
        // Pages that look like commands.
        let content = (0..<sent).flatMap { _ in [UInt8](repeating: 4, count: 64) }
        return bytes(UInt64(number)) + bytes(pages) + bytes(0x1000) + bytes(257) + content
    }

    private let openPages: UInt32 = 4
    private let close: UInt32 = 0x1023

    @Test(arguments: [1, 7, 31, 32, 33, 64, 100_000])
    func whatIsKnownIsAnsweredHowEverItComes(step: Int) {
        let stream =
            command(openPages) + command(6 | 4 << 16, pages: 2, sent: 2) + command(6 | 2 << 16, pages: 9)
            + command(2, pages: 3) + command(openPages) + command(1, pages: 1, sent: 1) + command(close)
        var answers = CRIUPageAnswers(pageSize: 64)
        var given: [UInt8] = []
        var offset = 0
        while offset < stream.count {
            given += answers.sent(Array(stream[offset..<min(offset + step, stream.count)]))
            offset += step
        }
        #expect(given == [0, 0])
        // The server's answers to those two are known; its last word, of four bytes, is not.
        #expect(answers.received([0]) == [])
        #expect(answers.received([0, 1, 2]) == [1, 2])
        #expect(answers.received([3, 4]) == [3, 4])
    }

    @Test func whatTheServerSaysWithoutBeingAskedPasses() {
        var answers = CRIUPageAnswers(pageSize: 4096)
        #expect(answers.sent(command(close)) == [])
        #expect(answers.received([9]) == [9])
    }
}
