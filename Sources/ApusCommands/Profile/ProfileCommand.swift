package import ArgumentParser

/// `apus profile`
package struct ProfileCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "profile",
        abstract: "See to the profiles: keys and devices that containers share.",
        discussion: """
            EXAMPLES:
              apus profile create web
              apus profile set web limits.memory=1GiB
              apus profile add c1 web
              apus profile list
            """,
        subcommands: [
            ProfileAdd.self, ProfileAssign.self, ProfileCopy.self, ProfileCreate.self, ProfileDelete.self,
            DeviceCommand<ProfileOwner>.self, ProfileEdit.self, ProfileGet.self, ProfileList.self,
            ProfileRemove.self, ProfileRename.self, ProfileSet.self, ProfileShow.self, ProfileUnset.self,
        ])

    package init() {}
}

/// The profile that a command is about.
package struct ProfileArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The profile.", valueName: "profile"), completion: .profiles)
    package var profile: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    func owner() throws -> ProfileOwner { try ProfileOwner(profile) }
}
