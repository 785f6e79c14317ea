package import ApusAPI
import ApusClient
package import ArgumentParser
import Glibc

/// `apus profile create`
package struct ProfileCreate: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a profile; with what standard input says in YAML, if that is no terminal.",
        discussion: """
            EXAMPLES:
              apus profile create web
              apus profile create web < web.yaml
            """)

    @OptionGroup package var target: ProfileArgument

    package init() {}

    package func run() async throws {
        let session = try target.global.session(of: target.profile)
        var profile = Profile(name: try target.owner().name)
        if !Terminal.isTerminal(STDIN_FILENO) {
            let text = try FileIO.standardInput()
            if text.contains(where: { !$0.isWhitespace }) {
                try EditableProfile(yaml: text, as: "the profile").apply(to: &profile)
            }
        }
        try await session.client.createProfile(profile)
        session.output.announce("Profile \(profile.name) created")
    }
}

/// `apus profile copy`
package struct ProfileCopy: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "copy",
        abstract: "Make a profile as a copy of another.",
        discussion: """
            EXAMPLES:
              apus profile copy default web
            """,
        aliases: ["cp"])

    @OptionGroup package var target: ProfileArgument

    @Argument(help: ArgumentHelp("The new profile's name.", valueName: "name"))
    package var name: String

    package init() {}

    package func run() async throws {
        let session = try target.global.session(of: target.profile)
        var profile = try await session.client.profile(try target.owner().name)
        profile.name = try ProfileOwner(try session.name(name)).name
        profile.usedBy = []
        try await session.client.createProfile(profile)
        session.output.announce("Profile \(profile.name) created")
    }
}

/// `apus profile delete`
package struct ProfileDelete: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete a profile that no container has.",
        discussion: """
            EXAMPLES:
              apus profile delete web
            """,
        aliases: ["rm"])

    @OptionGroup package var target: ProfileArgument

    package init() {}

    package func run() async throws {
        let session = try target.global.session(of: target.profile)
        let name = try target.owner().name
        try await session.client.deleteProfile(name)
        session.output.announce("Profile \(name) deleted")
    }
}

/// `apus profile rename`
package struct ProfileRename: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "rename",
        abstract: "Give a profile another name; containers keep it.",
        discussion: """
            EXAMPLES:
              apus profile rename web frontend
            """,
        aliases: ["mv"])

    @OptionGroup package var target: ProfileArgument

    @Argument(help: ArgumentHelp("Its new name.", valueName: "name"))
    package var name: String

    package init() {}

    package func run() async throws {
        let session = try target.global.session(of: target.profile)
        let (old, new) = (try target.owner().name, try ProfileOwner(try session.name(name)).name)
        try await session.client.renameProfile(old, to: new)
        session.output.announce("Profile \(old) renamed to \(new)")
    }
}

/// `apus profile set`
package struct ProfileSet: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Set keys. Running containers that have the profile get new limits at once.",
        discussion: """
            Either one key and its value, or any number of KEY=VALUE. A value of "-" is read from standard input.

            EXAMPLES:
              apus profile set web limits.memory=1GiB limits.processes=500
            """)

    @OptionGroup package var target: ProfileArgument

    @Argument(help: ArgumentHelp("KEY VALUE, or KEY=VALUE….", valueName: "key=value"))
    package var settings: [String]

    package init() {}

    package func validate() throws { _ = try Settings.keys(settings) }

    package func run() async throws {
        let keys = try Settings.reading(try Settings.keys(settings))
        try await target.owner().change(try target.global.session(of: target.profile)) { sheet in
            sheet.config = sheet.config.merging(keys) { $1 }.filter { !$0.value.isEmpty }
        }
    }
}

/// `apus profile unset`
package struct ProfileUnset: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "unset",
        abstract: "Take keys away.",
        discussion: """
            EXAMPLES:
              apus profile unset web limits.memory
            """)

    @OptionGroup package var target: ProfileArgument

    @Argument(help: ArgumentHelp("The keys.", valueName: "key"))
    package var keys: [String]

    package init() {}

    package func run() async throws {
        try await target.owner().change(try target.global.session(of: target.profile)) { sheet in
            for key in keys { sheet.config[key] = nil }
        }
    }
}

/// `apus profile edit`
package struct ProfileEdit: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "edit",
        abstract: "Edit a profile with the editor of VISUAL or EDITOR.",
        discussion: """
            Reads YAML from standard input if that is no terminal. If somebody else changes the profile in the \
            meantime, the editor opens again with your text and with what it is now.

            EXAMPLES:
              apus profile edit default
              apus profile edit web < web.yaml
            """)

    @OptionGroup package var target: ProfileArgument

    package init() {}

    package func run() async throws {
        let session = try target.global.session(of: target.profile)
        let name = try target.owner().name
        let loop = EditLoop<EditableProfile>(
            preface: "# The profile, as YAML. What stands behind a # is ignored.\n", noun: "profile",
            fetch: {
                let (profile, etag) = try await session.client.getTagged(
                    "/1.0/profiles/\(name.percentEncoded)", as: Profile.self)
                return (EditableProfile(profile), etag)
            },
            send: { edited, etag in
                var profile = Profile(name: name)
                edited.apply(to: &profile)
                var put = ProfilePut()
                put.config = profile.config
                put.devices = profile.devices
                put.description = profile.description
                try await session.client.updateProfile(name, put, etag: etag)
            })
        try await loop.run(session.output)
    }
}

/// The part of a profile that people edit, as YAML shows it.
package struct EditableProfile: Editable, Equatable {
    package var config: ConfigMap?
    package var description: String?
    package var devices: DevicesMap?

    package enum CodingKeys: String, CodingKey, CaseIterable { case config, description, devices }

    package static let readOnly: Set = ["name", "project", "used_by"]

    package init(_ profile: Profile) {
        config = profile.config
        description = profile.description
        devices = profile.devices
    }

    func apply(to profile: inout Profile) {
        profile.config = config ?? [:]
        profile.description = description ?? ""
        profile.devices = devices ?? [:]
    }
}
