package import ArgumentParser

/// `apus file`
package struct FileCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "file",
        abstract: "Move files into and out of containers.",
        discussion: """
            EXAMPLES:
              apus file push notes.txt c1/root/
              apus file pull c1/etc/hosts .
              apus file edit c1/etc/hosts
              apus file delete c1/root/notes.txt
            """,
        subcommands: [FilePush.self, FilePull.self, FileEdit.self, FileDelete.self])

    package init() {}
}
