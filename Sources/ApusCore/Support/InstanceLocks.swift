import Synchronization

/// One operation at a time per container; a second one is told what the first is doing. Operations that only read a
/// container, such as copies of it, may go on beside each other.
public final class InstanceLocks: Sendable {
    private struct Holders {
        var action: String
        /// How many read; 0 for one that changes.
        var readers = 0
    }

    private let actions = Mutex<[String: Holders]>([:])

    /// No container is busy.
    public init() {}

    /// Takes a container for an action such as "snapshotting".
    /// - Throws: "busy: …" if another operation has it.
    public func acquire(_ name: String, _ action: String) throws -> InstanceLock {
        try actions.withLock { actions in
            if let other = actions[name] { throw Self.busy(name, other.action) }
            actions[name] = Holders(action: action)
        }
        return InstanceLock(owner: self, name: name)
    }

    /// Takes a container for an action that leaves it as it is.
    /// - Throws: "busy: …" if an operation that changes it has it.
    public func acquireToRead(_ name: String, _ action: String) throws -> InstanceLock {
        try actions.withLock { actions in
            if let other = actions[name], other.readers == 0 { throw Self.busy(name, other.action) }
            actions[name] = Holders(action: action, readers: (actions[name]?.readers ?? 0) + 1)
        }
        return InstanceLock(owner: self, name: name)
    }

    private static func busy(_ name: String, _ action: String) -> ServiceError {
        .conflict("Instance \"\(name)\" is busy: \(action). Try again when that is done")
    }

    /// What is being done to a container now, if anything.
    public func action(of name: String) -> String? { actions.withLock { $0[name]?.action } }

    fileprivate func release(_ name: String) {
        actions.withLock { actions in
            if let readers = actions[name]?.readers, readers > 1 {
                actions[name]?.readers = readers - 1
            } else {
                actions[name] = nil
            }
        }
    }
}

/// A container taken for one operation. It is free again after `release`, or when the value is gone.
public final class InstanceLock: Sendable {
    private let owner: InstanceLocks
    private let name: String
    private let held = Mutex(true)

    fileprivate init(owner: InstanceLocks, name: String) {
        self.owner = owner
        self.name = name
    }

    /// Gives the container free; again does nothing.
    public func release() {
        let wasHeld = held.withLock { held in
            defer { held = false }
            return held
        }
        if wasHeld { owner.release(name) }
    }

    deinit { release() }
}
