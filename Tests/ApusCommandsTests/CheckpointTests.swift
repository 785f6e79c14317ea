import ApusAPI
import ApusCommands
import Foundation
import Testing

/// Saved running states, and what differs between them, as text.
struct CheckpointTests {
    private func process(_ pid: Int64, _ parent: Int64, _ name: String, memory: Int64 = 4096)
        -> CheckpointProcess
    {
        var process = CheckpointProcess()
        process.pid = pid
        process.parent = parent
        process.name = name
        process.state = "running"
        process.threads = [pid]
        process.memoryPrivate = memory
        return process
    }

    private func file(_ pid: Int64, _ fd: Int64, _ path: String, size: Int64? = nil) -> CheckpointFile {
        var file = CheckpointFile()
        file.pid = pid
        file.fd = fd
        file.kind = "file"
        file.path = path
        file.size = size
        return file
    }

    private func socket(_ pid: Int64, _ state: String) -> CheckpointSocket {
        var socket = CheckpointSocket()
        socket.pids = [pid]
        socket.kind = "tcp"
        socket.type = "stream"
        socket.state = state
        socket.local = "*:80"
        return socket
    }

    private var before: CheckpointState {
        var state = CheckpointState()
        state.container = "c1"
        state.processes = [process(1, 0, "init"), process(5, 1, "sh"), process(9, 1, "web")]
        state.files = [file(1, 3, "/var/log/a", size: 10), file(1, 4, "/old"), file(5, 0, "/gone/with/sh")]
        state.sockets = [socket(9, "LISTEN"), socket(9, "ESTABLISHED"), socket(9, "ESTABLISHED")]
        return state
    }

    private var after: CheckpointState {
        var state = before
        state.processes = [
            process(1, 0, "init", memory: 8192), process(5, 1, "awk"), process(9, 1, "web", memory: 0),
        ]
        state.files = [file(1, 3, "/var/log/a", size: 30), file(1, 4, "/new"), file(5, 0, "/came/with/awk")]
        state.sockets = [socket(9, "LISTEN"), socket(9, "ESTABLISHED"), socket(9, "CLOSE-WAIT")]
        return state
    }

    @Test func whatCameWentAndGrew() {
        let difference = CheckpointDifference("c1/a", before, "c1/b", after)
        #expect(
            difference.changes.map { "\($0.change) \($0.what) \($0.pid ?? 0) \($0.process) \($0.object)" }
                == [
                    "went process 5 sh ", "came process 5 awk ",
                    "grew memory 1 init private", "shrank memory 9 web private",
                    "went file 1 init /old", "came file 1 init /new", "grew file 1 init /var/log/a",
                    "went socket 9 web tcp stream ESTABLISHED *:80",
                    "came socket 9 web tcp stream CLOSE-WAIT *:80",
                ])
        #expect(difference.changes[2].before == 4096 && difference.changes[2].after == 8192)
        #expect(difference.table.rows.count == difference.changes.count)
        #expect(CheckpointDifference("c1/a", before, "c1/a", before).changes.isEmpty)
    }

    @Test func processesAreATree() throws {
        var state = CheckpointState()
        state.processes = [
            process(1, 0, "init"), process(2, 1, "a"), process(3, 1, "b"), process(4, 2, "\u{1B}[31mred\n"),
        ]
        let text = try CheckpointReport(state).text(only: .processes, as: .csv)
        #expect(
            text.split(separator: "\n").map { $0.split(separator: ",")[2] } == [
                "init", "\"  a\"", "\"    ?[31mred?\"", "\"  b\"",
            ])
        // Whatever a daemon answers.
        state.processes = [process(1, 2, "x"), process(2, 1, "y"), process(2, 2, "z")]
        let rows = try CheckpointReport(state).text(only: .processes, as: .csv)
        #expect(rows.split(separator: "\n").count == 2)
    }

    @Test func theWholeNamesItsParts() throws {
        var state = before
        state.times.frozen = 12_345
        state.times.freezing = 1000
        let text = try CheckpointReport(state).text(only: nil, as: .table)
        for part in ["Container: c1", "Stood still: 12.3 ms", "the rest 11.3 ms", "Processes:", "Sockets:"] {
            #expect(text.contains(part), "\(part) in \(text)")
        }
        #expect(!text.contains("Timers:"))
        #expect(try CheckpointReport(state).text(only: nil, as: .json).contains("\"frozen_us\":12345"))
    }

    @Test func theDrawingHasEveryProcessAndNothingThatBreaksIt() throws {
        var state = before
        state.processes.append(process(11, 5, "<a&\"b\u{1B}", memory: 1 << 30))
        state.times.frozen = 2000
        state.times.memoryWrite = 500
        let svg = CheckpointDrawing(state).svg
        #expect(svg.components(separatedBy: "<g>").count == state.processes.count + 1)
        #expect(svg.contains("11 &lt;a&amp;&quot;b?"))
        #expect(svg.contains("writing it 0.5 ms") && svg.contains("the rest 1.5 ms"))
        #expect(CheckpointDrawing(CheckpointState()).svg.contains("Stood still for 0.0 ms"))
    }
}
