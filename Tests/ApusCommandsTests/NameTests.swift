import ApusCommands
import Testing

/// How the command line names things.
struct NameTests {
    @Test func remotesAndNames() {
        #expect(ResourceName("c1").remote == "local")
        #expect(ResourceName("c1").name == "c1")
        #expect(ResourceName("host2:c1").remote == "host2")
        #expect(ResourceName("host2:").name == "")
        #expect(ResourceName(":c1").remote == "local")
        #expect(ResourceName("debian:a:b").name == "a:b")
    }

    @Test func containers() throws {
        #expect(try ContainerName("c1").name == "c1")
        #expect(try ContainerName("local:c1").name == "c1")
        #expect(try ContainerName("host2:c1").remote == "host2")
        #expect(try ContainerName("host2:c1").name == "c1")
        #expect(throws: Failure("there is no remote \"nowhere\"; see: apus remote list")) {
            try Remotes.client(of: "nowhere")
        }
        #expect(throws: Failure.self) { try Remotes.client(of: "images") }
        #expect(try ResourceName("c1").name(on: "host2") == "c1")
        #expect(try ResourceName("host2:c1").name(on: "host2") == "c1")
        #expect(throws: Failure.self) { try ResourceName("local:c1").name(on: "host2") }
        #expect(throws: Failure.self) { try ContainerName("") }
        #expect(throws: Failure.self) { try ContainerName("c1/s1") }
    }

    @Test func snapshots() throws {
        #expect(try SnapshotName("c1").snapshot == nil)
        #expect(try SnapshotName("local:c1/s1").snapshot == "s1")
        #expect(try SnapshotName("c1/a/b").snapshot == "a/b")
        #expect(throws: Failure.self) { try SnapshotName("c1/") }
        #expect(throws: Failure.self) { try SnapshotName("/s1") }
    }

    @Test func paths() throws {
        let path = try ContainerPath("c1/etc/hosts")
        #expect(path.container == "c1")
        #expect(path.path == "/etc/hosts")
        #expect(try ContainerPath("c1//").path == "//")
        #expect(throws: Failure.self) { try ContainerPath("c1") }
        #expect(throws: Failure.self) { try ContainerPath("/etc/hosts") }
    }

    @Test(arguments: [
        ("debian:12", ImageName.debian("12")), ("debian:bookworm", .debian("bookworm")),
        ("debian:13", .debian("13")), ("images:alpine/edge", .server("images", "alpine/edge")),
        ("busybox", .local("busybox")), ("local:busybox", .local("busybox")),
    ])
    func images(text: String, image: ImageName) throws { #expect(try ImageName(text) == image) }

    @Test(arguments: [
        ("host2:web", "local", ImageName.server("host2", "web")), ("host2:web", "host2", .local("web")),
        ("local:web", "host2", .server("local", "web")), ("web", "host2", .local("web")),
        ("debian:12", "host2", .debian("12")),
    ])
    func imagesForAnotherHost(text: String, host: String, image: ImageName) throws {
        #expect(try ImageName(text, for: host) == image)
    }

    @Test(arguments: [
        ("", "local"), ("remotes: {}\ndefault-remote: host2\n", "host2"), ("default-remote: \"a\"", "a"),
        ("default-remote:", "local"), ("x:\n  default-remote: b", "local"),
    ])
    func defaultRemotes(file: String, name: String) { #expect(Remotes.defaultName(in: file) == name) }

    @Test func imagesFromElsewhere() {
        #expect(throws: Failure.self) { try Remotes().imageServer("nowhere") }
        #expect(throws: Failure.self) { try Remotes().imageServer("local") }
        #expect(throws: Failure.self) { try ImageName("debian:") }
        #expect(throws: Failure.self) { try ImageName("") }
    }

    @Test func pathsAsText() {
        #expect(PathText.join("/a", "b") == "/a/b")
        #expect(PathText.join("/a/", "b") == "/a/b")
        #expect(PathText.lastComponent("/a/b/") == "b")
        #expect(PathText.lastComponent("b") == "b")
        #expect(PathText.lastComponent("/") == "/")
        #expect(PathText.parent("/a/b") == "/a")
        #expect(PathText.parent("/a") == "/")
        #expect(PathText.parent("a") == ".")
    }

    @Test func octalModes() {
        #expect(OctalMode(argument: "0640")?.bits == 0o640)
        #expect(OctalMode(argument: "755")?.bits == 0o755)
        #expect(OctalMode(argument: "0o4755")?.bits == 0o4755)
        #expect(OctalMode(argument: "8") == nil)
        #expect(OctalMode(argument: "17777") == nil)
    }

    @Test func keysAndDevices() {
        #expect(KeyValue(argument: "user.a=b=c")?.value == "b=c")
        #expect(KeyValue(argument: "=b") == nil)
        #expect(KeyValue(argument: "a") == nil)
        #expect(DeviceOption(argument: "root,size=1GiB,pool=p")?.keys == ["size": "1GiB", "pool": "p"])
        #expect(DeviceOption(argument: "size=1") == nil)
        #expect(DeviceOption(argument: "root,x") == nil)
    }
}
