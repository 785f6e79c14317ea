internal import SwiftProtobuf

/// Mends what a dump gets wrong about terminals.
public enum CRIUTerminals {
    /// The session a terminal controls.
    public struct Session: Sendable, Hashable, Codable {
        /// The number of the terminal in its devpts.
        public var terminal: UInt32
        /// The session, by its number among the tasks.
        public var session: UInt32
        /// The process group in the foreground.
        public var foreground: UInt32

        /// Names a terminal's session.
        public init(terminal: UInt32, session: UInt32, foreground: UInt32) {
            self.terminal = terminal
            self.session = session
            self.foreground = foreground
        }
    }

    /// CRIU asks the first task it meets whose session a terminal controls, and is told "none" if that task has it
    /// open without being of the session (an init and its console). The restore then fails. Fills in the session
    /// where it is known; nil: nothing to mend.
    public static func mendSessions(_ image: CRIUImage, _ sessions: [Session]) throws(CRIUError) -> CRIUImage?
    {
        var mended = image
        var isMended = false
        for (index, entry) in image.entries.enumerated() {
            var terminal: criu_terminal = try image.decode(entry)
            guard terminal.sid == 0, terminal.hasPty,
                let session = sessions.first(where: { $0.terminal == terminal.pty.index })
            else { continue }
            terminal.sid = session.session
            terminal.pgrp = session.foreground
            do {
                mended.entries[index] = try terminal.serializedBytes()
            } catch {
                throw CRIUError(.badImage, "\(image.name): a terminal cannot be written back: \(error)")
            }
            isMended = true
        }
        return isMended ? mended : nil
    }
}
