/// One line of the table: what was measured, and what it should be.
struct Figure {
    let name: String
    /// In `unit`, as many as there are rounds.
    let values: [Double]
    let unit: String
    let goal: Double?
    /// The better of LXD 5.0.2 and Incus 6.0.4, measured on the same kind of machine.
    let peer: String

    /// The middle one.
    var median: Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return .nan }
        let middle = sorted.count / 2
        return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }

    /// Whether the goal is met, or a word that there is none.
    var verdict: String { goal.map { median <= $0 ? "met" : "missed" } ?? "" }

    /// The cells of its line.
    var cells: [String] {
        let range = values.min().flatMap { least in values.max().map { "\(text(least))–\(text($0))" } } ?? ""
        return [
            name, goal.map { "\(text($0)) \(unit)" } ?? "",
            values.isEmpty ? "not measured" : "\(text(median)) \(unit)",
            values.count > 1 ? range : "", "\(values.count)", verdict, peer,
        ]
    }

    /// The heads of the columns.
    static let heads = ["what", "goal", "median", "range", "rounds", "", "peer"]

    private func text(_ value: Double) -> String {
        let scaled = (value * 100).rounded() / 100
        return scaled == scaled.rounded() && scaled >= 10 ? "\(Int(scaled))" : "\(scaled)"
    }
}

/// The figures as a table that reads well as text and as Markdown.
func table(_ figures: [Figure]) -> [String] {
    let rows = [Figure.heads] + figures.map(\.cells)
    let widths = Figure.heads.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    func line(_ cells: [String]) -> String {
        let padded = zip(cells, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
        return "| " + padded.joined(separator: " | ") + " |"
    }
    let rule = "|" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "|") + "|"
    return [line(rows[0]), rule] + rows.dropFirst().map(line)
}
