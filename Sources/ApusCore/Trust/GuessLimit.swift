/// How often strangers may try a password: a few times at once, then so seldom that guessing is hopeless. Kept for each
/// peer, and for all of them together, because addresses are cheap.
package struct GuessLimit: Sendable {
    /// Tries that are there at once, and the time until one comes back.
    package struct Allowance: Sendable {
        let burst: Double
        let interval: Duration

        package init(burst: Int, interval: Duration) {
            self.burst = Double(burst)
            self.interval = interval
        }
    }

    /// More peers than this are not told apart; the common allowance holds for them all the same.
    package static let maxPeers = 1024

    private struct Bucket {
        var left: Double
        var at: ContinuousClock.Instant

        mutating func refill(_ allowance: Allowance, _ now: ContinuousClock.Instant) {
            left = min(allowance.burst, left + (now - at) / allowance.interval)
            at = now
        }
    }

    private let each: Allowance
    private let all: Allowance
    private var peers: [String: Bucket] = [:]
    private var together: Bucket

    /// A limit of which nothing is used.
    package init(
        each: Allowance = Allowance(burst: 5, interval: .seconds(30)),
        all: Allowance = Allowance(burst: 20, interval: .seconds(10)),
        now: ContinuousClock.Instant = .now
    ) {
        self.each = each
        self.all = all
        together = Bucket(left: all.burst, at: now)
    }

    /// Takes a try of a peer.
    /// - Returns: nil if it may try now, else how long it has to wait.
    package mutating func take(_ peer: String, now: ContinuousClock.Instant = .now) -> Duration? {
        var own = peers[peer] ?? Bucket(left: each.burst, at: now)
        own.refill(each, now)
        together.refill(all, now)
        if own.left < 1 { return each.interval * (1 - own.left) }
        if together.left < 1 { return all.interval * (1 - together.left) }
        own.left -= 1
        together.left -= 1
        if peers[peer] == nil, peers.count >= Self.maxPeers { forgetSome(now) }
        peers[peer] = own
        return nil
    }

    /// Forgets those who have not tried for a while; if there are none, everybody's count but the common one.
    private mutating func forgetSome(_ now: ContinuousClock.Instant) {
        peers = peers.filter { _, bucket in
            var bucket = bucket
            bucket.refill(each, now)
            return bucket.left < each.burst
        }
        if peers.count >= Self.maxPeers { peers = [:] }
    }
}
