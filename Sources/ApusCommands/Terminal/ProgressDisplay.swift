package import ApusAPI
import Glibc

/// Shows progress on standard error: a bar that redraws itself on a terminal, a line per stage elsewhere.
package actor ProgressDisplay {
    private let label: String
    private let terminal: Bool
    private var lastStage: String?
    private var drawn = false

    /// A display for one operation; nil when nothing is to be shown.
    package init?(label: String, quiet: Bool) {
        if quiet { return nil }
        self.label = label
        terminal = Terminal.isTerminal(STDERR_FILENO)
    }

    /// Shows how far it is.
    package func show(_ progress: OperationProgress) {
        let line = ProgressLine(label: label, progress: progress)
        if terminal {
            let width = Terminal.size(STDERR_FILENO)?.width ?? 80
            Output.write("\r\u{1B}[K" + line.bar(width: width), to: STDERR_FILENO)
            drawn = true
        } else if progress.stage != lastStage {
            lastStage = progress.stage
            Output.write(line.plain + "\n", to: STDERR_FILENO)
        }
    }

    /// Takes the bar away.
    package func finish() {
        if drawn { Output.write("\r\u{1B}[K", to: STDERR_FILENO) }
        drawn = false
    }
}
