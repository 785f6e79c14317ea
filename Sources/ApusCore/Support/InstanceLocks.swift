import Synchronization

/// One operation at a time per container; a second one is told what the first is doing.
public final class InstanceLocks: Sendable {
    private let actions = Mutex<[String: String]>([:])

    /// No container is busy.
    public init() {}

    /// Takes a container for an action such as "snapshotting".
    /// - Throws: "busy: …" if another operation has it.
    public func acquire(_ name: String, _ action: String) throws -> InstanceLock {
        try actions.withLock { actions in
            if let other = actions[name] {
                throw ServiceError.conflict(
                    "Instance \"\(name)\" is busy: \(other). Try again when that is done")
            }
            actions[name] = action
        }
        return InstanceLock(owner: self, name: name)
    }

    /// What is being done to a container now, if anything.
    public func action(of name: String) -> String? { actions.withLock { $0[name] } }

    fileprivate func release(_ name: String) { actions.withLock { $0[name] = nil } }
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
