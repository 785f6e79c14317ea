import ApusAPI
import ApusClient
package import ArgumentParser
import Foundation
import Yams

/// How a list is written.
package enum ListFormat: String, CaseIterable, ExpressibleByArgument, Sendable {
    /// With borders, for people.
    case table
    /// Without borders.
    case compact
    /// Comma-separated values without titles.
    case csv
    /// What the daemon answered, as JSON on one line.
    case json
    /// What the daemon answered, as YAML.
    case yaml
}

/// The flag that lists share.
package struct FormatOptions: ParsableArguments {
    @Option(
        name: .shortAndLong, help: ArgumentHelp("How to write the list.", valueName: "format"))
    package var format: ListFormat = .table

    package init() {}
}

/// Turns what the daemon answered into text.
package enum Rendering {
    /// A list, in the format that was asked for.
    package static func list(
        _ items: some Encodable, as format: ListFormat, style: Style = Style(colours: false),
        statusColumn: Int? = nil, table: () -> Table
    ) throws -> String {
        switch format {
        case .table:
            table().bordered { column, cell in column == statusColumn ? style.status(cell) : cell }
        case .compact: table().compact()
        case .csv: table().commaSeparated()
        case .json: String(decoding: try APIJSON.encode(items), as: UTF8.self) + "\n"
        case .yaml: try yaml(items)
        }
    }

    /// A value as YAML, keys in order.
    package static func yaml(_ value: some Encodable) throws -> String {
        let encoder = YAMLEncoder()
        encoder.options.sortKeys = true
        encoder.options.allowUnicode = true
        encoder.options.width = -1
        return try encoder.encode(value)
    }
}
