import Foundation
import Glibc
import Testing

extension Integration {
    /// `apus exec` behaves as ssh does.
    @Suite struct Exec {
        @Test func exitCodesAreAShells() throws {
            try withContainer(.busybox) { host, name in
                for code: Int32 in [0, 1, 7, 255] {
                    let outcome = try host.apus(
                        "exec", name, "--", "sh", "-c", "exit \(code)", expecting: nil)
                    #expect(outcome.code == code)
                }
                #expect(try host.apus("exec", name, "--", "/no/such/program", expecting: nil).code == 127)
                #expect(try host.apus("exec", name, "--", "nosuchprogram", expecting: nil).code == 127)
                #expect(try host.apus("exec", name, "--", "/etc/passwd", expecting: nil).code == 126)
                #expect(try host.apus("exec", name, "--", "/etc", expecting: nil).code == 126)
                #expect(
                    try host.apus("exec", name, "--", "sh", "-c", "kill -9 $$", expecting: nil).code == 137)
                #expect(
                    try host.apus("exec", name, "--", "sh", "-c", "kill -15 $$", expecting: nil).code == 143)
            }
        }

        @Test func outputAndErrorsAreApart() throws {
            try withContainer(.busybox) { host, name in
                let outcome = try host.apus(
                    "exec", name, "--", "sh", "-c", "echo out; echo err >&2; echo out2")
                #expect(outcome.text == "out\nout2")
                #expect(outcome.complaint == "err")
            }
        }

        @Test func endOfInputReachesTheCommand() throws {
            try withContainer(.busybox) { host, name in
                let count = try host.apus("exec", name, "--", "wc", "-c", input: .bytes(Data("hello\n".utf8)))
                #expect(count.text == "6")
                #expect(try host.apus("exec", name, "--", "cat", input: .none).text == "")
                // A command that does not read its input ends all the same, while ours stays open.
                let program = try host.begin("exec", name, "--", "echo", "done", input: .open)
                #expect(try program.wait(limit: .seconds(20)).text == "done")
            }
        }

        @Test func environmentFolderAndUser() throws {
            try withContainer(.busybox) { host, name in
                #expect(
                    try host.apus("exec", name, "--env", "WORD=a b=c", "--", "sh", "-c", "echo \"$WORD\"")
                        .text == "a b=c")
                #expect(try host.apus("exec", name, "--cwd", "/usr/bin", "--", "pwd").text == "/usr/bin")
                let identity = try host.apus(
                    "exec", name, "--user", "1000", "--group", "1000", "--", "sh", "-c",
                    "id -u; id -g; id -G; echo $HOME")
                #expect(identity.text.split(separator: "\n").prefix(3) == ["1000", "1000", "1000"])
                let home = try host.apus("exec", name, "--", "sh", "-c", "echo $HOME:$USER; pwd; echo $PATH")
                #expect(home.text.hasPrefix("/root:root\n/root\n"), "\(home)")
                #expect(home.text.contains("/usr/bin"))
                let nowhere = try host.apus("exec", name, "--cwd", "/nowhere", "--", "pwd", expecting: nil)
                #expect(nowhere.code != 0)
                #expect(nowhere.complaint.contains("/nowhere"), "\(nowhere)")
            }
        }

        @Test func aCommandIsInTheContainersNamespacesAndCannotGetOut() throws {
            try withContainer(.busybox) { host, name in
                let inside = try host.exec(
                    name, "sh", "-c",
                    "for n in mnt pid net uts ipc user cgroup; do readlink /proc/1/ns/$n; readlink /proc/self/ns/$n; done"
                )
                let links = inside.split(separator: "\n")
                try #require(links.count == 14)
                for index in stride(from: 0, to: 14, by: 2) { #expect(links[index] == links[index + 1]) }
                for kind in ["mnt", "pid", "net", "uts", "ipc", "user", "cgroup"] {
                    let ours = try FileManager.default.destinationOfSymbolicLink(
                        atPath: "/proc/self/ns/\(kind)")
                    #expect(!links.contains { $0 == ours }, "\(kind) is the host's")
                }
                // No descriptor of the host came along.
                let open = try host.exec(name, "sh", "-c", "ls -l /proc/self/fd")
                #expect(!open.contains("apus"), "\(open)")
                #expect(!open.contains("socket:[") || open.contains("0 -> "), "\(open)")
                let count = open.split(separator: "\n").filter { $0.contains("->") }.count
                #expect(count <= 4, "\(open)")
            }
        }

        /// Bytes through `cat`, there and back.
        @Test func aLargeFilePassesUnchanged() throws {
            let size = ProcessInfo.processInfo.environment["CI"] == nil ? 256 : 1024
            try withContainer(.busybox) { host, name in
                let folder = "\(TestHost.scratch)/large"
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                defer { _ = try? run(["rm", "-rf", folder]) }
                try must(
                    ["dd", "if=/dev/urandom", "of=\(folder)/in", "bs=1M", "count=\(size)", "iflag=fullblock"])
                let outcome = try host.apus(
                    "exec", name, "--", "cat", input: .file("\(folder)/in"), output: .file("\(folder)/out"),
                    limit: .seconds(240))
                #expect(outcome.complaint == "")
                try must(["cmp", "\(folder)/in", "\(folder)/out"])
            }
        }

        @Test func aTerminalHasASizeThatFollows() throws {
            try withContainer(.busybox) { host, name in
                let terminal = try Terminal(
                    [host.programs + "/apus", "exec", name, "--", "sh"], environment: host.clientEnvironment,
                    columns: 101, rows: 31)
                terminal.type("stty size; tty; echo $TERM; echo ready$((40+2))\n")
                let first = try terminal.wait(for: "ready42")
                #expect(first.contains("31 101"), "\(first)")
                #expect(first.contains("/dev/pts/"), "\(first)")
                #expect(first.contains("xterm"))
                terminal.resize(columns: 77, rows: 22)
                terminal.signal(SIGWINCH)
                try eventually("the new size to arrive") {
                    terminal.type("stty size; echo again$((1+1))\n")
                    return try terminal.wait(for: "again2").contains("22 77")
                }
                terminal.type("exit 9\n")
                #expect(try terminal.waitForEnd().code == 9)
            }
        }

        @Test func interruptFromTheTerminalReachesTheCommandAlone() throws {
            try withContainer(.busybox) { host, name in
                let terminal = try Terminal(
                    [
                        host.programs + "/apus", "exec", name, "--", "sh", "-c",
                        "echo up; sleep 1000; echo not this",
                    ],
                    environment: host.clientEnvironment)
                try terminal.wait(for: "up")
                terminal.type("\u{3}")
                #expect(try terminal.waitForEnd().code == 130)
            }
        }

        @Test func aSignalToTheClientReachesTheCommand() throws {
            try withContainer(.busybox) { host, name in
                let program = try host.begin(
                    "exec", name, "--", "sh", "-c",
                    "trap 'echo got it; exit 5' TERM; echo up; while :; do sleep 0.1; done",
                    input: .open)
                try program.wait(for: "the command to be up") { $0.contains("up") }
                program.signal(SIGTERM)
                let outcome = try program.wait(limit: .seconds(20))
                #expect(outcome.text.contains("got it"), "\(outcome)")
                #expect(outcome.code == 5)
            }
        }

        @Test func aClientThatGoesAwayLeavesNoCommandBehind() throws {
            try withContainer(.busybox) { host, name in
                let program = try host.begin(
                    "exec", name, "--", "sh", "-c", "echo up; exec sleep 98765", input: .open)
                try program.wait(for: "the command to be up") { $0.contains("up") }
                program.signal(SIGKILL)
                _ = try program.wait()
                try eventually("the abandoned command to end") {
                    try !host.exec(
                        name, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '", expecting: nil
                    )
                    .contains("sleep 98765")
                }
            }
        }

        @Test func manyAtOnce() throws {
            try withContainer(.busybox) { host, name in
                let programs = try (0..<20).map {
                    try host.begin("exec", name, "--", "sh", "-c", "echo \($0); exit \($0)")
                }
                for (number, program) in programs.enumerated() {
                    let outcome = try program.wait()
                    #expect(outcome.text == "\(number)")
                    #expect(outcome.code == number)
                }
            }
        }

        @Test func inAStoppedContainerItSaysSo() throws {
            try withContainer(.busybox) { host, name in
                try host.apus("stop", name, "--force")
                let outcome = try host.apus("exec", name, "--", "true", expecting: 1)
                #expect(outcome.complaint.contains("not running"), "\(outcome)")
            }
        }
    }
}
