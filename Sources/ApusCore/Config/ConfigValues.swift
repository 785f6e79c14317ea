/// Values of config keys, read from their text.
public enum ConfigValues {
    /// Share or quota of processor time.
    public enum Allowance: Sendable, Equatable {
        /// Percent, counted only when others want the processor too.
        case share(Int64)
        /// Microseconds out of a period of microseconds, always.
        case quota(Int64, period: Int64)
    }

    /// A set of processors.
    public enum CPUs: Sendable, Equatable {
        /// So many, whichever.
        case count(Int)
        /// These.
        case set([Int])
    }

    /// LXD's words for yes and no.
    public static func bool(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "1", "yes", "on": true
        case "false", "0", "no", "off": false
        default: nil
        }
    }

    /// Whether a key of a configuration says yes.
    public static func isTrue(_ config: [String: String], _ key: String, default fallback: Bool = false)
        -> Bool
    {
        config[key].flatMap(bool) ?? fallback
    }

    /// Bytes with a unit: "512MiB", "1GB", "4096".
    public static func bytes(_ text: String) -> Int64? {
        let digits = text.prefix { ("0"..."9").contains($0) }
        guard let number = Int64(digits) else { return nil }
        let factor: Int64
        switch text.dropFirst(digits.count).trimmingPrefix(" ") {
        case "", "B": factor = 1
        case "kB", "KB": factor = 1000
        case "MB": factor = 1_000_000
        case "GB": factor = 1_000_000_000
        case "TB": factor = 1_000_000_000_000
        case "KiB": factor = 1 << 10
        case "MiB": factor = 1 << 20
        case "GiB": factor = 1 << 30
        case "TiB": factor = 1 << 40
        default: return nil
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : product
    }

    /// Bits per second with a unit: "10Mbit", "512kbit", "8000".
    public static func bitRate(_ text: String) -> UInt64? {
        let digits = text.prefix { ("0"..."9").contains($0) }
        guard let number = UInt64(digits) else { return nil }
        let factors: [String: UInt64] = [
            "": 1, "bit": 1, "kbit": 1000, "Mbit": 1_000_000, "Gbit": 1_000_000_000, "Kibit": 1 << 10,
            "Mibit": 1 << 20, "Gibit": 1 << 30,
        ]
        guard let factor = factors[String(text.dropFirst(digits.count).trimmingPrefix(" "))] else {
            return nil
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        return !overflow && (8000...100_000_000_000).contains(product) ? product : nil
    }

    /// Bytes, or a percentage of the machine's memory.
    public static func memory(_ text: String, total: Int64) -> Int64? {
        guard text.hasSuffix("%") else { return bytes(text).flatMap { $0 > 0 ? $0 : nil } }
        guard let percent = Int64(text.dropLast()), (1...100).contains(percent) else { return nil }
        return total / 100 * percent
    }

    /// A number of processors, or a set.
    public static func cpus(_ text: String, online: Int) -> CPUs? {
        if let count = Int(text) { return count > 0 ? .count(count) : nil }
        var set: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let bounds = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard let first = bounds.first ?? nil, let last = bounds.last ?? nil, bounds.count <= 2,
                first >= 0, first <= last, last < online
            else { return nil }
            set.formUnion(first...last)
        }
        return set.isEmpty ? nil : .set(set.sorted())
    }

    /// "50%" or "25ms/100ms".
    public static func allowance(_ text: String) -> Allowance? {
        if text.hasSuffix("%") {
            guard let percent = Int64(text.dropLast()), (1...100).contains(percent) else { return nil }
            return .share(percent)
        }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.hasSuffix("ms") }),
            let quota = Int64(parts[0].dropLast(2)), let period = Int64(parts[1].dropLast(2)),
            (1...1000).contains(period), quota > 0, quota <= 1_000_000
        else { return nil }
        return .quota(quota * 1000, period: period * 1000)
    }

    /// A time in LXD's way of writing it: "30M" minutes, "24H" hours, "3d" days, "2w" weeks; several with spaces between.
    public static func timeSpan(_ text: String) -> Duration? {
        var seconds: Int64 = 0
        let parts = text.split(separator: " ")
        for part in parts {
            let unit: Int64
            switch part.last {
            case "S": unit = 1
            case "M": unit = 60
            case "H": unit = 3600
            case "d": unit = 86_400
            case "w": unit = 604_800
            default: return nil
            }
            guard let count = Int64(part.dropLast()), (1...100_000).contains(count) else { return nil }
            seconds += count * unit
        }
        return parts.isEmpty || parts.count > 8 ? nil : .seconds(seconds)
    }
}
