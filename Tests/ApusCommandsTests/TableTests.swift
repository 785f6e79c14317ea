import ApusAPI
import ApusCommands
import Testing

/// Tables, formats and numbers as text.
struct TableTests {
    private let table = Table(
        header: ["NAME", "STATE", "TYPE"],
        rows: [["c1", "RUNNING", "CONTAINER"], ["a-long-name", "STOPPED", "a\nbb"]])

    @Test func bordersAndCentredTitles() {
        #expect(
            table.bordered() == """
                +-------------+---------+-----------+
                |    NAME     |  STATE  |   TYPE    |
                +-------------+---------+-----------+
                | c1          | RUNNING | CONTAINER |
                +-------------+---------+-----------+
                | a-long-name | STOPPED | a         |
                |             |         | bb        |
                +-------------+---------+-----------+

                """)
    }

    @Test func emptyTablesKeepTheirTitles() {
        #expect(
            Table(header: ["NAME"], rows: []).bordered() == """
                +------+
                | NAME |
                +------+

                """)
    }

    @Test func coloursDoNotMoveBorders() {
        let plain = table.bordered()
        let painted = table.bordered { column, cell in column == 1 ? Style(colours: true).status(cell) : cell
        }
        #expect(painted.contains("\u{1B}[32mRUNNING\u{1B}[0m |"))
        let stripped = painted.replacing("\u{1B}[32m", with: "").replacing("\u{1B}[0m", with: "")
        #expect(stripped == plain)
        #expect(Style(colours: false).status("RUNNING") == "RUNNING")
    }

    @Test func compactHasNoBordersAndNoTrailingSpace() {
        #expect(
            table.compact() == """
                NAME         STATE    TYPE
                c1           RUNNING  CONTAINER
                a-long-name  STOPPED  a,bb

                """)
    }

    @Test func commaSeparatedValuesAreQuoted() {
        let table = Table(header: ["A", "B"], rows: [["x,y", "say \"hi\""], ["plain", "two\nlines"]])
        #expect(table.commaSeparated() == "\"x,y\",\"say \"\"hi\"\"\"\nplain,\"two\nlines\"\n")
    }

    @Test func listsInEveryFormat() throws {
        var pool = StoragePool(name: "default", driver: "dir")
        pool.config = ["source": "/x"]
        func text(_ format: ListFormat) throws -> String {
            try Rendering.list([pool], as: format) { Table(header: ["NAME"], rows: [[pool.name]]) }
        }
        #expect(try text(.csv) == "default\n")
        #expect(try text(.compact) == "NAME\ndefault\n")
        #expect(try text(.table).hasPrefix("+---------+\n|  NAME   |\n"))
        let json = try text(.json)
        #expect(json.hasPrefix("[{") && json.hasSuffix("}]\n") && json.split(separator: "\n").count == 1)
        #expect(json.contains(#""driver":"dir""#))
        #expect(try text(.yaml).contains("driver: dir\n"))
        #expect(try text(.yaml).contains("source: /x\n"))
    }

    @Test(arguments: [
        (0, "0B"), (1023, "1023B"), (1024, "1.00KiB"), (12_939_428, "12.34MiB"), (1 << 30, "1.00GiB"),
        (Int64.max, "8.00EiB"),
    ])
    func binarySizes(bytes: Int64, text: String) { #expect(Units.bytes(bytes) == text) }

    @Test(arguments: [(999, "999B"), (1000, "1.00kB"), (881_004, "881.00kB"), (12_345_678, "12.35MB")])
    func decimalSizes(bytes: Int64, text: String) { #expect(Units.decimalBytes(bytes) == text) }

    @Test func moments() {
        #expect(Units.moment(Timestamp("2026-11-23T02:14:59.123456789Z") ?? .zero) == "2026/11/23 02:14 UTC")
        #expect(Units.moment(Timestamp("2026-11-23T02:14:59+02:00") ?? .zero) == "2026/11/23 00:14 UTC")
        #expect(Units.moment(.zero) == "")
        #expect(Units.moment(Timestamp("1970-01-01T00:00:00Z") ?? .zero) == "")
    }

    @Test func fixedDecimals() {
        #expect(Units.fixed(0.005, 2) == "0.01")
        #expect(Units.fixed(-1.5, 1) == "-1.5")
        #expect(Units.fixed(2, 0) == "2")
        #expect(Units.percent(1, of: 3) == "33.3%")
        #expect(Units.percent(1, of: 0) == "")
    }

    @Test func namesSortAsPeopleCount() {
        #expect(
            ["c10", "c2", "c1", "b", "c02"].sorted { $0.sortsNaturally(before: $1) } == [
                "b", "c1", "c02", "c2", "c10",
            ])
    }
}
