import ApusAPI
import ApusCore
import ApusServer
import Testing

@Suite("Filters of lists")
struct ListFilterTests {
    private var container: Instance {
        var instance = Instance()
        instance.name = "web-1"
        instance.status = "Running"
        instance.config = ["user.team": "a \"b\" c", "limits.cpu": "2"]
        instance.ephemeral = true
        instance.profiles = ["default", "big"]
        return instance
    }

    @Test(
        "What is let through",
        arguments: [
            ("name eq web-1", true), ("name eq WEB-1", true), ("name eq web", false),
            ("name eq web-.*", true),
            ("name ne web-1", false), ("not name eq other", true), ("not not name eq other", false),
            ("name eq other or status eq running", true), ("name eq web-1 and status eq stopped", false),
            ("status eq stopped or name eq web-1 and ephemeral eq true", true),
            ("config.user.team eq \"a \\\"b\\\" c\"", true), ("config.limits.cpu eq 2", true),
            ("config.no.such.key eq 2", false), ("config.no.such.key ne 2", true),
            ("ephemeral eq false", false),
            ("profiles eq big", true), ("profiles eq small", false), ("name.more eq x", false),
            ("name eq (^web$|^web.*)", true), ("name eq (", false), ("name eq \"\"", false),
        ])
    func matches(filter: String, expected: Bool) throws {
        #expect(try ListFilter(filter)?.matches(container) == expected)
    }

    @Test(
        "What cannot be read is refused",
        arguments: [
            "name", "name eq", "name is x", "name eq \"x", "name eq x y eq z", "and", "name eq x and", "not",
            "\"name\" \"eq\" x",
        ])
    func refused(filter: String) { #expect(throws: ServiceError.self) { try ListFilter(filter) } }

    @Test("No filter is none", arguments: [nil, "", "  "])
    func none(filter: String?) throws { #expect(try ListFilter(filter).map { _ in 1 } == nil) }
}
