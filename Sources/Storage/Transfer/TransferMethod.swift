/// The ways volumes travel between hosts.
public enum TransferMethod: String, Sendable, Codable, CaseIterable {
    /// Not at all: both hosts have the pool on the same storage, and the volume is handed over.
    case shared
    /// As `btrfs send` writes it, and what changes afterwards entry by entry.
    case btrfs
    /// Entry by entry, of any driver to any driver.
    case tree
    /// By rsync, as LXD does it.
    case rsync
}

/// What the source can do, as it tells the sink.
public struct TransferOffer: Sendable, Hashable, Codable {
    /// The ways, the best first.
    public var methods: [TransferMethod]
    /// What its rsync is asked to do; nil: the peer knows nothing of it (LXD 2.0).
    public var rsync: RsyncFeatures?
    /// The pool's id, if it is marked as shared.
    public var sharedPool: String?

    /// An offer.
    public init(methods: [TransferMethod], rsync: RsyncFeatures? = nil, sharedPool: String? = nil) {
        self.methods = methods
        self.rsync = rsync
        self.sharedPool = sharedPool
    }

    /// What an LXD understands.
    public static let lxd = TransferOffer(methods: [.rsync], rsync: .all)
}

/// What the sink chose.
public struct TransferChoice: Sendable, Hashable, Codable {
    /// The way.
    public var method: TransferMethod
    /// For rsync: what both sides do.
    public var rsync: RsyncFeatures?

    /// A choice.
    public init(_ method: TransferMethod, rsync: RsyncFeatures? = nil) {
        self.method = method
        self.rsync = rsync
    }
}

/// What a pool can do in a transfer.
public struct TransferAbility: Sendable, Hashable {
    /// Its driver's name.
    public var driver: String
    /// Its id, if it is marked as shared.
    public var sharedPool: String?
    /// Whether rsync is installed.
    public var hasRsync: Bool

    /// An ability.
    public init(driver: String, sharedPool: String? = nil, hasRsync: Bool) {
        self.driver = driver
        self.sharedPool = sharedPool
        self.hasRsync = hasRsync
    }
}

/// Agrees on how a volume travels.
public enum TransferNegotiation {
    /// What a source with such a pool offers.
    public static func offer(_ ability: TransferAbility) -> TransferOffer {
        var methods: [TransferMethod] = [.tree]
        if ability.driver == "btrfs" { methods.insert(.btrfs, at: 0) }
        if ability.sharedPool != nil { methods.insert(.shared, at: 0) }
        if ability.hasRsync { methods.append(.rsync) }
        return TransferOffer(
            methods: methods, rsync: ability.hasRsync ? .all : nil, sharedPool: ability.sharedPool)
    }

    /// What a sink with such a pool takes of an offer; nil: nothing of it. `isNew`: there is nothing yet of which only
    /// differences would be sent.
    public static func choose(_ offer: TransferOffer, _ ability: TransferAbility, isNew: Bool = true)
        -> TransferChoice?
    {
        for method in offer.methods {
            switch method {
            case .shared:
                if let id = offer.sharedPool, id == ability.sharedPool { return TransferChoice(.shared) }
            case .btrfs:
                // Differences to a volume that is here are found entry by entry.
                if ability.driver == "btrfs" && isNew { return TransferChoice(.btrfs) }
            case .tree: return TransferChoice(.tree)
            case .rsync:
                guard ability.hasRsync else { continue }
                return TransferChoice(.rsync, rsync: RsyncFeatures.agreed(.all, offer.rsync))
            }
        }
        return nil
    }
}
