/// Finds `ctrl+a q` in what is typed at a console: the keys that lead out. `ctrl+a ctrl+a` types one ctrl+a.
package struct DetachKey: Sendable {
    private static let prefix: UInt8 = 0x01
    private var afterPrefix = false

    package init() {}

    /// What to send on of these bytes, and whether they end with the wish to leave.
    package mutating func filter(_ bytes: some Sequence<UInt8>) -> (pass: [UInt8], detach: Bool) {
        var pass: [UInt8] = []
        for byte in bytes {
            guard afterPrefix else {
                if byte == Self.prefix { afterPrefix = true } else { pass.append(byte) }
                continue
            }
            afterPrefix = false
            switch byte {
            case UInt8(ascii: "q"): return (pass, true)
            case Self.prefix: pass.append(byte)
            default: pass += [Self.prefix, byte]
            }
        }
        return (pass, false)
    }
}
