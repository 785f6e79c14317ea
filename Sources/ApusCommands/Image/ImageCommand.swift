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
            ImageAliasCommand.self, ImageCopy.self, ImageDelete.self, ImageEdit.self, ImageExport.self,
            ImageGetProperty.self, ImageImport.self, ImageInfo.self, ImageList.self, ImageRefresh.self,
            ImageSetProperty.self, ImageShow.self, ImageUnsetProperty.self,
        ])

    package init() {}
}
