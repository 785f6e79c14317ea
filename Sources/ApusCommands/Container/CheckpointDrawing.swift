package import ApusAPI

/// A saved running state as a drawing (SVG): the processes as a tree in which the width of each is the memory saved of it
/// and of those below it, and where the time went for which they stood still.
package struct CheckpointDrawing {
    private static let width = 960.0
    private static let margin = 20.0
    private static let rowHeight = 26.0
    private static let colours = ["#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2"]

    private let state: CheckpointState

    package init(_ state: CheckpointState) { self.state = state }

    /// The drawing.
    package var svg: String {
        let boxes = self.boxes
        let depth = (boxes.map(\.depth).max() ?? 0) + 1
        let treeTop = 64.0
        let timeTop = treeTop + Double(depth) * Self.rowHeight + 44
        let height = timeTop + 90
        let all = Units.bytes(state.processes.reduce(0) { $0 &+ $1.memoryPrivate })
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(Self.text(Self.width))" height="\(Self.text(height))" \
            font-family="sans-serif" font-size="12">
            <rect width="100%" height="100%" fill="white"/>
            \(Self.label(Self.margin, 26, "\(state.container), \(Units.moment(state.takenAt))", size: 16))
            \(Self.label(Self.margin, 50, "\(state.processes.count) processes, \(all) of private memory: the width is that of a process and all below it"))
            \(boxes.map { draw($0, top: treeTop) }.joined(separator: "\n"))
            \(timeline(top: timeTop))
            </svg>

            """
    }

    // MARK: The tree

    private struct Box {
        var process: CheckpointProcess
        var depth: Int
        var left: Double
        var width: Double
    }

    private var boxes: [Box] {
        let lines = ProcessTree(state.processes).lines
        // What a process has with all below it: those come after it, and are deeper.
        var sums = lines.map { Double(max(0, $0.process.memoryPrivate)) + 1 }
        var open: [Int] = []
        var parents: [Int?] = []
        for (index, line) in lines.enumerated() {
            while let last = open.last, lines[last].depth >= line.depth { open.removeLast() }
            parents.append(open.last)
            open.append(index)
        }
        for index in lines.indices.reversed() {
            if let parent = parents[index] { sums[parent] += sums[index] }
        }
        let whole = zip(parents, sums).reduce(0) { $0 + ($1.0 == nil ? $1.1 : 0) }
        let scale = (Self.width - 2 * Self.margin) / max(1, whole)
        var next: [Int: Double] = [:]
        var nextRoot = Self.margin
        return lines.enumerated().map { index, line in
            let left = parents[index].map { next[$0] ?? 0 } ?? nextRoot
            let width = sums[index] * scale
            if let parent = parents[index] { next[parent] = left + width } else { nextRoot = left + width }
            next[index] = left
            return Box(process: line.process, depth: line.depth, left: left, width: width)
        }
    }

    private func draw(_ box: Box, top: Double) -> String {
        let y = top + Double(box.depth) * Self.rowHeight
        let process = box.process
        let name = "\(process.pid) \(process.name)"
        let about =
            "\(name): private \(Units.bytes(process.memoryPrivate)), shared \(Units.bytes(process.memoryShared)), of files \(Units.bytes(process.memoryFiles)), \(process.threads.count) threads"
        let colour = Self.colours[box.depth % Self.colours.count]
        var text = """
            <g><title>\(Self.escaped(about))</title><rect x="\(Self.text(box.left))" y="\(Self.text(y))" \
            width="\(Self.text(max(0.5, box.width - 0.5)))" height="\(Self.text(Self.rowHeight - 2))" fill="\(colour)"/>
            """
        // A letter is some seven points wide.
        let fits = Int(max(0, min(1000, (box.width - 8) / 7)))
        if fits >= 4 {
            text += Self.label(box.left + 4, y + 16, String(name.prefix(fits)), colour: "white")
        }
        return text + "</g>"
    }

    // MARK: The time

    private func timeline(top: Double) -> String {
        let times = state.times
        let known = [
            ("until all stood still", times.freezing), ("finding their memory", times.memoryDump),
            ("writing it", times.memoryWrite),
        ].map { ($0.0, Double(max(0, $0.1))) }
        let rest = Double(times.frozen) - known.reduce(0) { $0 + $1.1 }
        let stages = known + [("the rest", max(0, rest))]
        let whole = max(1, stages.reduce(0) { $0 + $1.1 })
        var text = Self.label(Self.margin, top, "Stood still for \(Units.milliseconds(Double(times.frozen)))")
        var left = Self.margin
        var legend = Self.margin
        for (index, (name, time)) in stages.enumerated() {
            let width = time / whole * (Self.width - 2 * Self.margin)
            let colour = Self.colours[index]
            text += """

                <rect x="\(Self.text(left))" y="\(Self.text(top + 10))" width="\(Self.text(width))" height="24" fill="\(colour)"/>
                <rect x="\(Self.text(legend))" y="\(Self.text(top + 48))" width="12" height="12" fill="\(colour)"/>
                \(Self.label(legend + 18, top + 58, "\(name) \(Units.milliseconds(time))"))
                """
            left += width
            legend += (Self.width - 2 * Self.margin) / 4
        }
        return text
    }

    // MARK: Text

    private static func label(
        _ x: Double, _ y: Double, _ content: String, size: Int = 12, colour: String = "#222"
    ) -> String {
        "<text x=\"\(text(x))\" y=\"\(text(y))\" font-size=\"\(size)\" fill=\"\(colour)\">\(escaped(content))</text>"
    }

    private static func text(_ value: Double) -> String { Units.fixed(value, 2) }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text.printable.unicodeScalars {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
