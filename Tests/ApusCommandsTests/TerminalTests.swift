import ApusAPI
import ApusCommands
import Testing

/// Progress and keys.
struct TerminalTests {
    private func line(_ stage: String, _ change: (inout OperationProgress) -> Void = { _ in }) -> ProgressLine
    {
        var progress = OperationProgress(stage: stage)
        change(&progress)
        return ProgressLine(label: "Creating c1", progress: progress)
    }

    @Test func plainLines() {
        #expect(line("building the image").plain == "Creating c1: building the image")
        #expect(line("").plain == "Creating c1")
    }

    @Test func barsFillAndFit() {
        let half = line("dump") { $0.percent = 50 }
        #expect(half.bar(width: 80) == "Creating c1: dump [===============>              ]  50%")
        #expect(
            line("dump") { $0.percent = 100 }.bar(width: 80).contains("[==============================] 100%")
        )
        #expect(
            line("dump") { $0.percent = 0 }.bar(width: 80).contains("[>                             ]   0%"))
        #expect(line("dump") { $0.percent = 400 }.percent == 100)
        for width in 20...120 {
            for percent in [0, 1, 33, 99, 100] {
                #expect(line("dumping memory") { $0.percent = percent }.bar(width: width).count < width)
            }
        }
    }

    @Test func bytesInsteadOfPercent() {
        let known = line("sending") {
            $0.bytesDone = 1 << 20
            $0.bytesTotal = 4 << 20
        }
        #expect(known.percent == 25)
        #expect(known.bar(width: 100).hasSuffix("]  25% 1.00MiB of 4.00MiB"))
        let unknown = line("sending") { $0.bytesDone = 1 << 20 }
        #expect(unknown.percent == nil)
        #expect(unknown.bar(width: 100) == "Creating c1: sending 1.00MiB")
    }

    @Test func detachKey() {
        var key = DetachKey()
        func typed(_ text: String) -> (String, Bool) {
            let (pass, detach) = key.filter(Array(text.utf8))
            return (String(decoding: pass, as: UTF8.self), detach)
        }
        #expect(typed("ls\r") == ("ls\r", false))
        #expect(typed("\u{01}") == ("", false))
        #expect(typed("x") == ("\u{01}x", false))
        #expect(typed("\u{01}\u{01}") == ("\u{01}", false))
        #expect(typed("q") == ("q", false))
        #expect(typed("abc\u{01}q rest") == ("abc", true))
    }

    @Test func events() throws {
        let event = Event(
            type: "lifecycle", timestamp: Timestamp("2026-11-23T02:00:00Z") ?? .zero,
            metadata: ["action": "instance-created", "source": "/1.0/instances/c1"])
        #expect(
            try Monitor.render(event, as: .pretty)
                == "2026-11-23T02:00:00Z lifecycle instance-created /1.0/instances/c1\n")
        #expect(try Monitor.render(event, as: .json).hasSuffix("}\n"))
        #expect(try Monitor.render(event, as: .yaml).contains("action: instance-created"))
    }
}
