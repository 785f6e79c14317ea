package import ApusAPI
import Glibc

/// Numbers for people, written as LXD's client writes them.
package enum Units {
    /// Bytes in powers of 1024: `12.34MiB`.
    package static func bytes(_ count: Int64) -> String {
        scaled(count, base: 1024, units: ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
    }

    /// Bytes in powers of 1000, as image sizes are given: `12.34MB`.
    package static func decimalBytes(_ count: Int64) -> String {
        scaled(count, base: 1000, units: ["kB", "MB", "GB", "TB", "PB", "EB"])
    }

    private static func scaled(_ count: Int64, base: Double, units: [String]) -> String {
        if Double(abs(count)) < base { return "\(count)B" }
        var value = Double(count)
        var unit = ""
        for next in units {
            value /= base
            unit = next
            if abs(value) < base { break }
        }
        return fixed(value, 2) + unit
    }

    /// Microseconds as milliseconds: "1.5 ms".
    package static func milliseconds(_ microseconds: Double) -> String {
        fixed(microseconds / 1000, 1) + " ms"
    }

    /// A number with so many decimals.
    package static func fixed(_ value: Double, _ decimals: Int) -> String {
        var scale: Int64 = 1
        for _ in 0..<decimals { scale *= 10 }
        let scaled = Int64((abs(value) * Double(scale)).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        if decimals == 0 { return "\(sign)\(scaled)" }
        let fraction = String(scaled % scale)
        let zeros = String(repeating: "0", count: decimals - fraction.count)
        return "\(sign)\(scaled / scale).\(zeros)\(fraction)"
    }

    /// A moment as LXD shows it, in UTC: `2026/11/23 02:14 UTC`; empty for never.
    package static func moment(_ time: Timestamp) -> String {
        guard time.seconds > 0 else { return "" }
        // RFC 3339 always begins YYYY-MM-DDTHH:MM.
        let text = Array(time.description)
        let day = String(text[0..<10].map { $0 == "-" ? "/" : $0 })
        return "\(day) \(String(text[11..<16])) UTC"
    }

    /// A share of a whole.
    package static func percent(_ part: Int64, of whole: Int64) -> String {
        whole > 0 ? fixed(Double(part) * 100 / Double(whole), 1) + "%" : ""
    }
}
