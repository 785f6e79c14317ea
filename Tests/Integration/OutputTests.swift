import Foundation
import Testing

extension Integration {
    /// What a user sees.
    @Suite struct Output {
        @Test func listsInEveryFormat() throws {
            try withContainer(.busybox) { host, name in
                let table = try host.apus("list").text
                #expect(table.contains("NAME") && table.contains("STATE"))
                #expect(table.contains(/\| *RUNNING *\|/), "\(table)")
                #expect(!table.contains("\u{1B}"), "colours without a terminal")
                let csv = try host.apus("list", "--format", "csv").text
                #expect(csv.split(separator: "\n").contains { $0.hasPrefix("\(name),RUNNING") }, "\(csv)")
                let json = try JSON(try host.apus("list", "--format", "json").output).array
                #expect(json.contains { $0["name"].string == name && $0["status"].string == "Running" })
                let yaml = try host.apus("list", "--format", "yaml").text
                #expect(yaml.contains("name: \(name)"))
                #expect(
                    try JSON(try host.apus("image", "list", "--format", "json").output).array.contains {
                        image in
                        image["aliases"].array.contains { $0["name"].string == TestImage.busybox.rawValue }
                    })
                let wrong = try host.apus("list", "--format", "nonsense", expecting: nil)
                #expect(wrong.code != 0)
            }
        }

        @Test func infoTellsOfSnapshots() throws {
            try withContainer(.busybox) { host, name in
                try host.apus("snapshot", name, "first")
                try host.apus("snapshot", name, "second", "--stateful")
                let info = try host.apus("info", name).text
                #expect(info.contains("Name: \(name)"))
                #expect(info.contains(/[Ss]tatus: (Running|RUNNING)/), "\(info)")
                let lines = info.split(separator: "\n").map(String.init)
                let first = try #require(lines.first { $0.hasPrefix("  first") }, "\(info)")
                let second = try #require(lines.first { $0.hasPrefix("  second") }, "\(info)")
                #expect(first.contains("stateless") && first.contains(/20[0-9][0-9]/), "\(first)")
                #expect(second.contains("stateful") && second.contains(/[0-9] ?[KMG]i?B/), "\(second)")
                // LXD makes up a name where none is given.
                try host.apus("snapshot", name)
                #expect(try host.apus("info", name).text.contains("snap0"))
            }
        }

        @Test func infoShowsTheLogOfTheLastDump() throws {
            try withContainer(.busybox) { host, name in
                try host.apus("snapshot", name, "s", "--stateful")
                let info = try host.apus("info", name, "--show-log").text
                #expect(info.contains(/Log.*criu-dump/), "\(info)")
                let logs = try host.query("/1.0/containers/\(name)/logs").array.compactMap(\.string)
                #expect(!logs.isEmpty)
            }
        }

        @Test func everyCommandHasHelpWithExamples() throws {
            let host = try Integration.host
            let help = try host.apus("--help").text
            #expect(help.contains("SUBCOMMANDS"))
            for command in [
                "launch", "list", "info", "exec", "console", "start", "stop", "restart", "pause", "delete",
                "snapshot",
                "restore", "file", "image", "config", "admin",
            ] {
                #expect(help.contains("  \(command) "), "\(command) is not in the help")
                let own = try host.apus(command, "--help").text
                #expect(own.contains("apus \(command)"), "\(command)")
                if !["file", "image", "config", "admin"].contains(command) {
                    #expect(own.lowercased().contains("example"), "\(command) has no example")
                }
            }
        }

        @Test func completionsForThreeShells() throws {
            let host = try Integration.host
            for shell in ["bash", "zsh", "fish"] {
                let script = try host.apus("--generate-completion-script", shell).text
                #expect(script.contains("snapshot") && script.contains("apus"), "\(shell)")
            }
            let script = "\(TestHost.scratch)/completion.bash"
            try host.apus("--generate-completion-script", "bash").output.write(to: URL(filePath: script))
            try must(["bash", "-n", script])
        }

        @Test func mistakesAreNamedOnStandardError() throws {
            let host = try Integration.host
            let missing = try host.apus("info", "nobody", expecting: 1)
            #expect(missing.text == "")
            #expect(missing.complaint.hasPrefix("Error: "))
            #expect(missing.complaint.contains("nobody") || missing.complaint.contains("not found"))
            #expect(try host.apus("no-such-command", expecting: nil).code != 0)
            let silent = try run(
                [host.programs + "/apus", "list"],
                environment: ["APUS_DIR": "/nonexistent", "HOME": "/nonexistent"])
            #expect(silent.code == 1)
            #expect(silent.complaint.contains("apusd") || silent.complaint.contains("daemon"), "\(silent)")
        }

        @Test func manyContainersAreListed() throws {
            let host = try Integration.host
            let image = try host.image(.busybox)
            let made = (0..<5).map { "many\($0)" }
            defer { for name in made { _ = try? host.apus("delete", name, "--force", expecting: nil) } }
            for name in made { try host.apus("init", image, name) }
            let listed = try host.apus("list", "--format", "csv").text
            #expect(made.allSatisfy { listed.contains("\($0),STOPPED") }, "\(listed)")
        }

        @Test func theRESTAPISpeaksOfItself() throws {
            let host = try Integration.host
            let server = try host.query("/1.0")
            #expect(server["api_version"].string == "1.0")
            #expect(server["auth"].string == "trusted")
            #expect(server["api_extensions"].array.contains { $0.string?.hasPrefix("apus_") == true })
            #expect(try host.connection().get("/").text.contains("/1.0"))
            let missing = try host.connection().get("/1.0/containers/nobody")
            #expect(missing.status == 404)
            let error = try JSON(missing.body)
            #expect(error["type"].string == "error" && error["error_code"].int == 404)
            // The two names of one tree.
            #expect(try host.connection().get("/1.0/instances").status == 200)
        }
    }
}
