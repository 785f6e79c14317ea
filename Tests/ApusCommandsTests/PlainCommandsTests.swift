import ApusAPI
import ApusCommands
import ArgumentParser
import Testing

/// Commands that are read without the parser of arguments, and lists that are read in part.
struct PlainCommandsTests {
    @Test(arguments: [
        ["exec", "c1", "--", "true"],
        ["exec", "c1", "--", "ls", "-l", "--all", "", "a b"],
        ["list"],
        ["start", "c1"],
        ["stop", "c1"],
        ["stop", "c1", "--stateful"],
    ])
    func plainFormsAreWhatTheParserMakesOfThem(_ words: [String]) throws {
        let plain = try #require(PlainCommands.read(words[...]))
        let text = String(describing: plain)
        #expect(text == String(describing: try Apus.parseAsRoot(words)))
        // An option that was left out would be a crash when it is read.
        #expect(!text.contains("definition"), "\(text)")
    }

    @Test(arguments: [
        [], ["exec"], ["exec", "c1", "true"], ["exec", "c1", "--"], ["exec", "-t", "c1", "--", "true"],
        ["exec", "c1", "--", "sh", "--", "x"], ["exec", "--help"], ["list", "c1"], ["list", "--help"],
        ["start"], ["start", "c1", "c2"], ["start", "--help"], ["stop", "--stateful"], ["stop", "-f", "c1"],
        ["stop", "c1", "--stateful", "--force"], ["info", "c1"], ["--version"],
    ])
    func allOthersAreTheParsers(_ words: [String]) {
        #expect(PlainCommands.read(words[...]) == nil)
    }

    @Test func usualColumnsNeedWhatIsReadOfThem() throws {
        var instance = Instance()
        instance.name = "c1"
        instance.status = "Running"
        instance.ephemeral = true
        instance.snapshots = [InstanceSnapshot(), InstanceSnapshot()]
        var state = InstanceState()
        var network = InstanceStateNetwork()
        for (family, address) in [("inet", "10.1.2.3"), ("inet6", "fd42::1")] {
            var entry = InstanceStateNetworkAddress()
            entry.family = family
            entry.address = address
            entry.scope = "global"
            network.addresses.append(entry)
        }
        state.network = ["eth0": network]
        instance.state = state
        let json = try APIJSON.encode(instance)
        let listed = try APIJSON.decode(ListedInstance.self, from: json).instance
        for column in try Column.parse(Column.defaultSet) {
            #expect(column.isUsual)
            #expect(column.value(listed) == column.value(instance))
        }
        #expect(try Column.parse("abcdDfFlmNpPu").allSatisfy { !$0.isUsual })
        #expect(
            try APIJSON.decode(ListedInstance.self, from: APIJSON.encode(Instance())).instance.name.isEmpty)
    }
}
