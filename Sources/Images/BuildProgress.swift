/// How far the building of an image is.
public struct BuildProgress: Sendable, Hashable {
    /// What is being done: `Downloading packages`.
    public let phase: String
    /// How much of the whole is done, 0 to 100.
    public let percent: Int

    /// A state of progress.
    public init(phase: String, percent: Int) {
        self.phase = phase
        self.percent = percent
    }
}

/// Makes progress out of what mmdebstrap prints, line by line. Has no effects: lines in, progress out.
public struct BootstrapProgressParser: Sendable {
    /// Each phase, by the words it starts with, and the share of the time at which it does.
    private static let phases: [(words: String, name: String, percent: Int)] = [
        ("running apt-get update", "Updating package lists", 1),
        ("downloading packages with apt", "Downloading packages", 8),
        ("extracting archives", "Unpacking the base system", 22),
        ("installing essential packages", "Installing the base system", 30),
        ("installing remaining packages", "Installing packages", 50),
        ("cleaning package lists", "Cleaning up", 92),
        ("creating tarball", "Packing", 94),
        ("done", "Packing", 98),
    ]

    private var phase = 0
    private var expected = 0
    private var seen = 0
    private var last: BuildProgress?

    /// A parser before the first line.
    public init() {}

    /// Takes a line; returns the progress if it has changed.
    public mutating func take(_ line: Substring) -> BuildProgress? {
        if line.hasPrefix("I: ") {
            let text = line.dropFirst(3)
            guard let index = Self.phases.firstIndex(where: { text.hasPrefix($0.words) }) else { return nil }
            phase = index
            seen = 0
            return changed(Self.phases[index].percent)
        }
        if let count = Self.packageCount(line) {
            expected = count
            return nil
        }
        let isStep = line.hasPrefix("Get:") || line.hasPrefix("Unpacking ") || line.hasPrefix("Setting up ")
        guard isStep, expected > 0 else { return nil }
        seen += 1
        let start = Self.phases[phase].percent
        let end = phase + 1 < Self.phases.count ? Self.phases[phase + 1].percent : 99
        // Installing means to unpack and to set up: two lines for each package.
        let steps = line.hasPrefix("Get:") ? expected : 2 * expected
        return changed(start + min(end - start - 1, (end - start) * seen / max(1, steps)))
    }

    /// The number in apt's `0 upgraded, 96 newly installed, …`.
    private static func packageCount(_ line: Substring) -> Int? {
        guard line.contains(" newly installed,"), let comma = line.firstIndex(of: ",") else { return nil }
        return line[line.index(after: comma)...].split(separator: " ").first.flatMap { Int($0) }
    }

    private mutating func changed(_ percent: Int) -> BuildProgress? {
        let progress = BuildProgress(
            phase: Self.phases[phase].name, percent: max(percent, last?.percent ?? 0))
        if progress == last { return nil }
        last = progress
        return progress
    }
}
