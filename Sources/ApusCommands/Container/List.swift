import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus list`
package struct List: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List containers.",
        discussion: """
            A filter is a name or the beginning of one, a regular expression for names, or KEY=VALUE, where VALUE is \
            a regular expression, and KEY one of name, status, type, architecture, stateful, ephemeral, description, or \
            a config key. The parts of a config key can be shortened: u.role=web is user.role=web. All filters have to \
            hold.

            COLUMNS:
            \(Column.legend)

            Any config key is a column as well: -c n,s,limits.memory or -c ns,user.role:ROLE:12 (title, width).

            EXAMPLES:
              apus list
              apus list web status=running
              apus list host2: web
              apus list user.role=web s.privileged=true
              apus list -c nsSpm
              apus list --format json
            """)

    @Argument(
        help: ArgumentHelp(
            "Which containers to list; REMOTE: alone or before the first for another host.",
            valueName: "filter"))
    package var filters: [String] = []

    @Option(name: .shortAndLong, help: ArgumentHelp("The columns, as letters.", valueName: "columns"))
    package var columns: String?

    @Flag(name: .long, help: "Ask for less: the columns nsacPt.")
    package var fast = false

    @OptionGroup package var format: FormatOptions
    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func validate() throws {
        if fast && columns != nil { throw ValidationError("--fast and --columns exclude each other.") }
        _ = try selected()
    }

    /// The columns that were asked for.
    package func selected() throws -> [Column] {
        try Column.parse(columns ?? (fast ? Column.fastSet : Column.defaultSet))
    }

    package func run() async throws {
        let (session, filters) = try global.session(beforeFilters: filters)
        let columns = try selected()
        let structured = format.format == .json || format.format == .yaml
        let needsState = structured || columns.contains(where: \.needsState)
        let filter = try ContainerFilter(filters)
        let recursion = needsState && !fast ? 2 : 1
        let isUsual = !structured && filters.isEmpty && columns.allSatisfy(\.isUsual)
        let all =
            isUsual
            ? try await session.client.instances(recursion: recursion, as: ListedInstance.self).map(
                \.instance)
            : try await session.client.instances(recursion: recursion)
        let found = all.filter { filter.matches($0) }
            .sorted { $0.name.sortsNaturally(before: $1.name) }
        session.output.write(
            try Rendering.list(
                found, as: format.format, style: .standardOutput,
                statusColumn: columns.firstIndex { $0.title == "STATE" }
            ) {
                Table(
                    header: columns.map(\.title), rows: found.map { item in columns.map { $0.value(item) } })
            })
    }
}
