import CRIU
import Testing

/// Terminals whose session CRIU missed.
@Suite struct TerminalTests {
    /// A terminal as CRIU dumps it: id, type, three flags, session, group, device, and the number of the terminal.
    private func terminal(_ number: UInt8, session: UInt8, foreground: UInt8) -> [UInt8] {
        [0x08, 3, 0x10, 1, 0x18, 0, 0x20, 0, 0x28, 0]
            + [0x30, session, 0x38, foreground, 0x40, 9, 0x62, 2, 0x08, number]
    }

    private func image(_ entries: [[UInt8]]) throws -> CRIUImage {
        let magic: [UInt8] = [0x19, 0x43, 0x56, 0x54, 0x36, 0x30, 0x45, 0x59]
        return try CRIUImage(
            name: "tty-info.img",
            bytes: entries.reduce(into: magic) { $0 += [UInt8($1.count), 0, 0, 0] + $1 },
            magic: .terminals)
    }

    @Test func aMissedSessionIsFilledIn() throws {
        let image = try image([
            terminal(0, session: 0, foreground: 0), terminal(1, session: 7, foreground: 7),
        ])
        let sessions = [
            CRIUTerminals.Session(terminal: 0, session: 5, foreground: 6),
            CRIUTerminals.Session(terminal: 1, session: 9, foreground: 9),
        ]
        let mended = try #require(try CRIUTerminals.mendSessions(image, sessions))
        // The same fields, the new ones at the end of what Apus does not know.
        #expect(mended.entries[0].count == terminal(0, session: 5, foreground: 6).count)
        #expect(mended.entries[1] == terminal(1, session: 7, foreground: 7))
        #expect(try CRIUTerminals.mendSessions(mended, sessions) == nil)
    }

    @Test func aTerminalThatControlsNothingStays() throws {
        let image = try image([terminal(0, session: 0, foreground: 0)])
        #expect(try CRIUTerminals.mendSessions(image, []) == nil)
    }
}
