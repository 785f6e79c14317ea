import ApusAPI
import ApusCore
import HTTPTypes
import HummingbirdCore

/// Profiles.
struct ProfileRoutes {
    let daemon: Daemon
    private var profiles: ProfileService { daemon.profiles }

    var routes: [Route] {
        [
            Route(.get, "/1.0/profiles", "All profiles") { request in
                guard request.recursion > 0 else {
                    return try Reply.sync(profiles.list().map { "/1.0/profiles/\($0.name)" })
                }
                let users = await daemon.containers.usage().profiles
                return try Reply.sync(profiles.list().map { withUsers($0, users) })
            },
            Route(.post, "/1.0/profiles", "Make a profile") { request in
                let profile = try await request.json(Profile.self)
                try await daemon.containers.checkNetworks(ofProfile: profile.name, profile.devices)
                try profiles.create(profile)
                return try Reply.created("/1.0/profiles/\(profile.name)")
            },
            Route(.get, "/1.0/profiles/{name}", "A profile") { request in
                let name = try request.path("name")
                let users = await daemon.containers.usage().profiles
                return try Reply.sync(withUsers(try profiles.get(name), users), etag: try profiles.etag(name))
            },
            Route(.put, "/1.0/profiles/{name}", "Replace a profile") { request in
                let name = try request.path("name")
                try await daemon.containers.updateProfile(
                    name, try await request.json(ProfilePut.self), ifMatch: request.ifMatch)
                return try Reply.done()
            },
            Route(.patch, "/1.0/profiles/{name}", "Change some of a profile") { request in
                let name = try request.path("name")
                try await daemon.containers.patchProfile(
                    name, try await request.json(InstancePatch.self), ifMatch: request.ifMatch)
                return try Reply.done()
            },
            Route(.post, "/1.0/profiles/{name}", "Rename a profile") { request in
                let post = try await request.json(InstancePost.self)
                try await daemon.containers.renameProfile(try request.path("name"), to: post.name)
                return try Reply.created("/1.0/profiles/\(post.name)")
            },
            Route(.delete, "/1.0/profiles/{name}", "Delete a profile") { request in
                let name = try request.path("name")
                try profiles.delete(name, usedBy: await daemon.containers.usage().profiles[name] ?? [])
                return try Reply.done()
            },
        ]
    }

    private func withUsers(_ profile: Profile, _ users: [String: [String]]) -> Profile {
        var profile = profile
        profile.usedBy = users[profile.name] ?? []
        return profile
    }
}
