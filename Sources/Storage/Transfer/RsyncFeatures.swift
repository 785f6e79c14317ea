/// What LXD's two ends agree on before they start rsync: the flags have to be the same on both.
public struct RsyncFeatures: Sendable, Hashable, Codable {
    /// Extended attributes travel, too.
    public var xattrs: Bool
    /// Files that the source does not have are removed.
    public var delete: Bool
    /// What is sent is compressed.
    public var compress: Bool
    /// The sink's answer means what it says (LXD 3.8 and newer).
    public var bidirectional: Bool

    /// Some of them.
    public init(xattrs: Bool, delete: Bool, compress: Bool, bidirectional: Bool) {
        self.xattrs = xattrs
        self.delete = delete
        self.compress = compress
        self.bidirectional = bidirectional
    }

    /// What LXD 5.0 offers, and we do.
    public static let all = RsyncFeatures(xattrs: true, delete: true, compress: true, bidirectional: true)
    /// What peers do that tell nothing.
    public static let none = RsyncFeatures(
        xattrs: false, delete: false, compress: false, bidirectional: false)

    /// What both do. A peer that tells of none (2.0) does none; one whose features are not `bidirectional` does what
    /// LXD 3.7 did, whatever it says.
    public static func agreed(_ own: RsyncFeatures, _ peer: RsyncFeatures?) -> RsyncFeatures {
        guard var peer else { return .none }
        if !peer.bidirectional {
            peer = RsyncFeatures(xattrs: true, delete: true, compress: true, bidirectional: false)
        }
        return RsyncFeatures(
            xattrs: own.xattrs && peer.xattrs, delete: own.delete && peer.delete,
            compress: own.compress && peer.compress, bidirectional: own.bidirectional && peer.bidirectional)
    }

    /// The arguments, as LXD gives them.
    var arguments: [String] {
        var result: [String] = []
        if xattrs { result += ["--xattrs", "--filter=-x security.selinux"] }
        if delete { result.append("--delete") }
        if compress { result += ["--compress", "--compress-level=2"] }
        return result
    }
}
