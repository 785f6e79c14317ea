import Checkpoint
import Foundation
import Testing

@Suite("The reference of what stands in the way of a checkpoint")
struct CheckpointReferenceTests {
    @Test("docs/reference/checkpointable.md has the table of what is looked for")
    func table() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../docs/reference/checkpointable.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        #expect(
            text.contains(CheckpointRule.markdown()),
            "replace the table in docs/reference/checkpointable.md by:\n\(CheckpointRule.markdown())")
    }

    @Test("Every rule has a name of its own, and says what to do")
    func names() {
        let rules = CheckpointRule.all
        #expect(Set(rules.map(\.id)).count == rules.count)
        #expect(rules.allSatisfy { !$0.title.isEmpty && !$0.reason.isEmpty && !$0.advice.isEmpty })
    }
}
