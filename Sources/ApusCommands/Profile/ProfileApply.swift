import ApusAPI
import ApusClient
package import ArgumentParser

/// `apus profile add`
package struct ProfileAdd: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Give a container one more profile.",
        discussion: """
            EXAMPLES:
              apus profile add c1 web
            """)

    @OptionGroup package var target: ProfilesTarget

    @Argument(help: ArgumentHelp("The profile.", valueName: "profile"), completion: .profiles)
    package var profile: String

    package init() {}

    package func run() async throws {
        let profile = try ProfileOwner(profile).name
        try await target.change { profiles, name in
            guard !profiles.contains(profile) else {
                throw Failure("\(name) has the profile \(profile) already")
            }
            profiles.append(profile)
        }
    }
}

/// `apus profile remove`
package struct ProfileRemove: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Take a profile from a container.",
        discussion: """
            EXAMPLES:
              apus profile remove c1 web
            """)

    @OptionGroup package var target: ProfilesTarget

    @Argument(help: ArgumentHelp("The profile.", valueName: "profile"), completion: .profiles)
    package var profile: String

    package init() {}

    package func run() async throws {
        let profile = try ProfileOwner(profile).name
        try await target.change { profiles, name in
            guard profiles.contains(profile) else {
                throw Failure("\(name) does not have the profile \(profile)")
            }
            profiles.removeAll { $0 == profile }
        }
    }
}

/// `apus profile assign`
package struct ProfileAssign: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "assign",
        abstract: "Give a container exactly these profiles.",
        discussion: """
            EXAMPLES:
              apus profile assign c1 default,web
              apus profile assign c1 ''
            """,
        aliases: ["apply"])

    @OptionGroup package var target: ProfilesTarget

    @Argument(help: ArgumentHelp("The profiles, with commas between.", valueName: "profiles"))
    package var profiles: String

    package init() {}

    package func run() async throws {
        let wanted = try profiles.split(separator: ",").map { try ProfileOwner(String($0)).name }
        try await target.change { profiles, _ in profiles = wanted }
    }
}

/// The container whose profiles a command changes.
package struct ProfilesTarget: ParsableArguments {
    @Argument(help: ArgumentHelp("The container.", valueName: "container"), completion: .containers)
    package var container: String

    @OptionGroup package var global: GlobalOptions

    package init() {}

    /// Fetches, changes and sends the list; anew if somebody else was quicker.
    func change(_ edit: (inout [String], String) throws -> Void) async throws {
        let session = try global.session(of: container)
        let owner = try ContainerOwner(container)
        try await owner.change(session) { sheet in
            var profiles = sheet.instance?.profiles ?? []
            try edit(&profiles, owner.name)
            sheet.instance?.profiles = profiles
        }
        let list = try await session.client.instance(owner.name).profiles
        session.output.announce("Profiles of \(owner.name): \(list.joined(separator: ", "))")
    }
}
