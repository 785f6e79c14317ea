import LinuxSystem

/// Gives each unprivileged container a range of host ids that no other has.
public struct IDMapAllocator: Sendable {
    /// The ids the daemon may give out.
    public let pool: Range<Int64>
    /// The ranges in use, by container.
    public private(set) var used: [String: Range<Int64>] = [:]

    /// How many ids a container gets unless it asks for more.
    public static let defaultSize: Int64 = 65_536
    /// The pool where the host's /etc/subuid and /etc/subgid name none for root.
    public static let defaultPool: Range<Int64> = 1_000_000..<1_001_000_000

    /// Whether ranges are spread over the pool, so that two hosts hardly ever give out the same: a running container keeps
    /// its ids when it moves.
    private let isSpread: Bool

    /// An allocator that has given nothing out.
    public init(pool: Range<Int64> = IDMapAllocator.defaultPool, isSpread: Bool = false) {
        self.pool = pool
        self.isSpread = isSpread
    }

    /// Takes a free range.
    /// - Parameters:
    ///   - container: whose it is; a range it has already is kept if it fits.
    ///   - base: its first id, or nil for any.
    public mutating func allocate(
        _ container: String, size: Int64 = IDMapAllocator.defaultSize, base: Int64? = nil
    ) throws -> Range<Int64> {
        if let present = used[container], Int64(present.count) == size,
            base == nil || base == present.lowerBound
        {
            return present
        }
        let others = used.filter { $0.key != container }
        if let base {
            let wanted = base..<(base + size)
            guard wanted.lowerBound >= 1, wanted.upperBound <= 4_294_967_295 else {
                throw ServiceError.badRequest("security.idmap.base \(base) leaves no room for \(size) ids")
            }
            if let other = others.first(where: { $0.value.overlaps(wanted) }) {
                throw ServiceError.conflict(
                    "The ids from security.idmap.base \(base) on are those of container \"\(other.key)\"; choose others"
                )
            }
            used[container] = wanted
            return wanted
        }
        if isSpread, let range = randomRange(size, besides: others.values) {
            used[container] = range
            return range
        }
        var start = pool.lowerBound
        for range in others.values.sorted(by: { $0.lowerBound < $1.lowerBound })
        where range.upperBound > start {
            if range.lowerBound - start >= size { break }
            start = range.upperBound
        }
        guard start + size <= pool.upperBound else {
            throw ServiceError.failure(
                "No \(size) host ids are left for \"\(container)\" in \(pool.lowerBound)-\(pool.upperBound - 1); "
                    + "give root a larger range in /etc/subuid and /etc/subgid, or delete containers")
        }
        used[container] = start..<(start + size)
        return start..<(start + size)
    }

    /// A range somewhere in the pool, nil if a few tries found none that is free.
    private func randomRange(_ size: Int64, besides others: some Sequence<Range<Int64>>) -> Range<Int64>? {
        let slots = Int64(pool.count) / size
        guard slots > 0 else { return nil }
        for _ in 0..<16 {
            let start = pool.lowerBound + Int64.random(in: 0..<slots) * size
            let range = start..<(start + size)
            if !others.contains(where: { $0.overlaps(range) }) { return range }
        }
        return nil
    }

    /// The container that has ids of a range, if any.
    func owner(of range: Range<Int64>) -> String? { used.first { $0.value.overlaps(range) }?.key }

    /// Remembers a range that a container has from before.
    public mutating func restore(_ container: String, _ range: Range<Int64>) { used[container] = range }

    /// Gives a container's range back.
    public mutating func release(_ container: String) { used[container] = nil }

    /// Hands a range on to a container's new name.
    public mutating func rename(_ container: String, to name: String) {
        if let range = used.removeValue(forKey: container) { used[name] = range }
    }

    /// The pool that /etc/subuid and /etc/subgid give to root: the part that both have; nil if there is none.
    public static func pool(subuid: String, subgid: String) -> Range<Int64>? {
        guard let users = rootRange(subuid), let groups = rootRange(subgid) else { return nil }
        let common = users.clamped(to: groups)
        return Int64(common.count) >= defaultSize ? common : nil
    }

    /// The pool of this machine.
    public static func hostPool() -> Range<Int64> {
        pool(
            subuid: (try? Files.text("/etc/subuid")) ?? "", subgid: (try? Files.text("/etc/subgid")) ?? "")
            ?? defaultPool
    }

    private static func rootRange(_ text: String) -> Range<Int64>? {
        text.split(separator: "\n").lazy.compactMap { line -> Range<Int64>? in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count == 3, fields[0] == "root" || fields[0] == "0", let first = Int64(fields[1]),
                let count = Int64(fields[2]), first > 0, count > 0, first + count <= 4_294_967_295
            else { return nil }
            return first..<(first + count)
        }.max { $0.count < $1.count }
    }
}
