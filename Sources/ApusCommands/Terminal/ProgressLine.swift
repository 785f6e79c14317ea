package import ApusAPI

/// How the progress of an operation looks as text.
package struct ProgressLine: Sendable, Equatable {
    /// What the command is doing, such as "Creating c1".
    package let label: String
    /// How far it is.
    package let progress: OperationProgress

    package init(label: String, progress: OperationProgress) {
        self.label = label
        self.progress = progress
    }

    /// The share that is done, 0…100, if anyone can know.
    package var percent: Int? {
        if let percent = progress.percent { return min(100, max(0, percent)) }
        guard let done = progress.bytesDone, let total = progress.bytesTotal, total > 0 else { return nil }
        return Int(min(100, max(0, done * 100 / total)))
    }

    /// One line without a bar, for logs.
    package var plain: String { progress.stage.isEmpty ? label : "\(label): \(progress.stage)" }

    private var bytes: String {
        switch (progress.bytesDone, progress.bytesTotal) {
        case (let done?, let total?) where total > 0: " \(Units.bytes(done)) of \(Units.bytes(total))"
        case (let done?, _) where done > 0: " \(Units.bytes(done))"
        default: ""
        }
    }

    /// One line of a terminal so many columns wide; the bar takes what is left.
    package func bar(width: Int) -> String {
        let room = max(1, width - 1)
        var tail = bytes
        guard let percent else { return String((plain + tail).prefix(room)) }
        let number = String(percent)
        tail = " " + String(repeating: " ", count: 3 - number.count) + number + "%" + tail
        let barWidth = min(30, room - plain.count - tail.count - 3)
        guard barWidth >= 8 else { return String((plain + tail).prefix(room)) }
        let filled = barWidth * percent / 100
        let head = filled < barWidth ? ">" : ""
        let done = String(repeating: "=", count: max(0, filled)) + head
        return "\(plain) [\(done)\(String(repeating: " ", count: max(0, barWidth - done.count)))]\(tail)"
    }
}
