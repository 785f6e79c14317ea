/// Rows and columns as text, laid out as LXD's client does it.
package struct Table: Sendable, Equatable {
    /// Titles of the columns.
    package var header: [String]
    /// The rows; a cell may have several lines.
    package var rows: [[String]]

    package init(header: [String], rows: [[String]]) {
        self.header = header
        self.rows = rows
    }

    /// Borders, centred titles, a rule after every row. `paint` colours a cell once it has been padded.
    package func bordered(paint: (_ column: Int, _ cell: String) -> String = { $1 }) -> String {
        let widths = self.widths
        let rule = "+" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "+") + "+\n"
        var text = rule
        text +=
            "|" + header.indices.map { " \(Self.centred(header[$0], widths[$0])) " }.joined(separator: "|")
            + "|\n"
        text += rule
        for row in rows {
            let cells = row.map { Self.lines($0) }
            for line in 0..<max(1, cells.map(\.count).max() ?? 1) {
                text += "|"
                for column in header.indices {
                    let cell = column < cells.count && line < cells[column].count ? cells[column][line] : ""
                    text += " \(paint(column, cell))\(Self.space(widths[column] - cell.count)) |"
                }
                text += "\n"
            }
            text += rule
        }
        return text
    }

    /// No borders: columns two spaces apart, made for eyes and `awk`.
    package func compact() -> String {
        let widths = self.widths
        var text = ""
        for row in [header] + rows {
            let cells = header.indices.map { column in
                let cell = column < row.count ? Self.lines(row[column]).joined(separator: ",") : ""
                return cell + Self.space(widths[column] - cell.count)
            }
            var line = cells.joined(separator: "  ")
            while line.hasSuffix(" ") { line.removeLast() }
            text += line + "\n"
        }
        return text
    }

    /// Comma-separated values, without titles, quoted where necessary.
    package func commaSeparated() -> String {
        rows.map { $0.map(Self.quoted).joined(separator: ",") + "\n" }.joined()
    }

    private var widths: [Int] {
        header.indices.map { column in
            let cells = rows.map { column < $0.count ? $0[column] : "" } + [header[column]]
            return cells.flatMap { Self.lines($0) }.map(\.count).max() ?? 0
        }
    }

    private static func lines(_ cell: String) -> [String] {
        cell.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    private static func space(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }

    private static func centred(_ text: String, _ width: Int) -> String {
        let gap = max(0, width - text.count)
        return space(gap / 2) + text + space(gap - gap / 2)
    }

    private static func quoted(_ cell: String) -> String {
        guard cell.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) || cell.first == " " else {
            return cell
        }
        return "\"" + cell.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
            + "\""
    }
}
