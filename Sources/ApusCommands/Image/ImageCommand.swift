package import ArgumentParser

/// `apus image`
package struct ImageCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "image",
        abstract: "See to the images that containers are made from.",
        discussion: """
            EXAMPLES:
              apus image list
              apus image import busybox.tar.xz --alias busybox
              apus image alias create bookworm 3f2a81c09d4e
            """,
        subcommands: [
            ImageList.self, ImageInfo.self, ImageDelete.self, ImageImport.self, ImageExport.self,
            ImageAliasCommand.self,
        ])

    package init() {}
}
