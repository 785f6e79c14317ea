import Glibc

/// The terminal that a descriptor is, if it is one.
package enum Terminal {
    /// Columns and rows; nil if the descriptor is no terminal.
    package static func size(_ descriptor: Int32) -> (width: Int, height: Int)? {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// Whether the descriptor is a terminal.
    package static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

    /// Switches a terminal to raw mode until `restore`; it is put back, too, when the program exits.
    package static func makeRaw(_ descriptor: Int32) {
        var settings = termios()
        guard tcgetattr(descriptor, &settings) == 0 else { return }
        if saved == nil {
            saved = (descriptor, settings)
            atexit { Terminal.restore() }
        }
        cfmakeraw(&settings)
        tcsetattr(descriptor, TCSADRAIN, &settings)
    }

    /// Puts the terminal back as it was before `makeRaw`.
    package static func restore() {
        guard var (descriptor, settings) = saved else { return }
        saved = nil
        tcsetattr(descriptor, TCSADRAIN, &settings)
        descriptor = -1
    }

    /// Asks for a line that does not appear while it is typed.
    package static func readSecret(_ prompt: String) throws -> String {
        var settings = termios()
        guard tcgetattr(STDIN_FILENO, &settings) == 0 else { throw FileFailure("read from the terminal") }
        Output.write(prompt, to: STDERR_FILENO)
        var silent = settings
        silent.c_lflag &= ~tcflag_t(ECHO)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
            Output.write("\n", to: STDERR_FILENO)
        }
        return readLine() ?? ""
    }

    // Written by makeRaw before, and read by restore after, everything that could race.
    nonisolated(unsafe) private static var saved: (Int32, termios)?
}
