package import ArgumentParser

/// Commands in their plainest form, read without the parser of arguments.
///
/// For a program that lasts for some milliseconds the parser is expensive: to find out what each type of option is, it
/// has the runtime go through all types of the program again and again, half of what `apus exec` has to do. So the
/// forms that scripts call all day are read here, with every option at its default; all others are the parser's, and a
/// test compares the two.
package enum PlainCommands {
    /// The command, if this is the plain form of one.
    package static func read(_ arguments: ArraySlice<String>) -> (any AsyncParsableCommand)? {
        let words = Array(arguments.dropFirst())
        switch arguments.first {
        case "exec": return exec(words)
        case "list" where words.isEmpty: return list()
        case "start": return start(words)
        case "stop": return stop(words)
        default: return nil
        }
    }

    /// `exec CONTAINER -- COMMAND …`
    private static func exec(_ words: [String]) -> Exec? {
        guard words.count > 2, isName(words[0]), words[1] == "--", !words.dropFirst(2).contains("--") else {
            return nil
        }
        var command = Exec()
        command.container = words[0]
        command.command = Array(words.dropFirst(2))
        command.forceInteractive = false
        command.forceNoninteractive = false
        command.mode = .auto
        command.disableStdin = false
        command.env = []
        command.cwd = nil
        command.user = 0
        command.group = 0
        command.global = global
        return command
    }

    /// `list`
    private static func list() -> List {
        var command = List()
        command.filters = []
        command.columns = nil
        command.fast = false
        command.format = FormatOptions()
        command.format.format = .table
        command.global = global
        return command
    }

    /// `start CONTAINER`
    private static func start(_ words: [String]) -> Start? {
        guard words.count == 1, isName(words[0]) else { return nil }
        var command = Start()
        command.selection = selection(words)
        command.stateless = false
        command.console = false
        command.global = global
        return command
    }

    /// `stop CONTAINER`, also with `--stateful`
    private static func stop(_ words: [String]) -> Stop? {
        let isStateful = words.last == "--stateful"
        let names = isStateful ? words.dropLast() : words[...]
        guard names.count == 1, names.allSatisfy(isName) else { return nil }
        var command = Stop()
        command.selection = selection(Array(names))
        command.stateful = isStateful
        command.force = false
        command.timeout = -1
        command.global = global
        return command
    }

    private static func selection(_ names: [String]) -> ContainerSelection {
        var selection = ContainerSelection()
        selection.containers = names
        selection.all = false
        return selection
    }

    private static var global: GlobalOptions {
        var options = GlobalOptions()
        options.quiet = false
        return options
    }

    private static func isName(_ word: String) -> Bool { !word.isEmpty && !word.hasPrefix("-") }
}
