import Foundation

/// Nothing gets through to or from what some hosts listen at, as if a cable were out: nobody is told.
final class NetworkCut {
    private let table = "apus_test_\(Integration.freshName().replacingOccurrences(of: "-", with: "_"))"
    private var isMended = false

    init(_ hosts: [TestHost]) throws {
        let ports = try hosts.map { host in
            let address = try host.apus("config", "get", "core.https_address").text
            guard let port = address.split(separator: ":").last else {
                throw Trouble("\(address) has no port")
            }
            return String(port)
        }
        let set = "{ \(ports.joined(separator: ", ")) }"
        try must(["nft", "add", "table", "inet", table])
        do {
            try must([
                "nft", "add", "chain", "inet", table, "cut",
                "{ type filter hook input priority -300 ; policy accept ; }",
            ])
            for direction in ["dport", "sport"] {
                try must(["nft", "add", "rule", "inet", table, "cut", "tcp", direction, set, "drop"])
            }
        } catch {
            mend()
            throw error
        }
    }

    deinit { mend() }

    /// Puts the cable back. May be called again.
    func mend() {
        guard !isMended else { return }
        isMended = true
        _ = try? must(["nft", "delete", "table", "inet", table])
    }
}
