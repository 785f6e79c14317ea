public import CRIU
public import ContainerRuntime
public import LinuxSystem
import Glibc
import Synchronization

/// A container that stands still and is saved, but for its memory, while its owner hands it over to another machine.
///
/// Nothing is settled until `decide()`: whoever throws before lets it run on here. From then on no instruction of it
/// runs here any more, whatever dies on this machine, until `takeBack()` or until somebody thaws it on purpose
/// (`Checkpointer.recover`).
public final class HandOver: Sendable {
    /// How the memory gets to the other machine.
    public enum Memory: Sendable {
        /// While it is saved, through a connected stream socket at whose other end a `CRIUPageReceiver` waits. The
        /// closure is called before each try, given its number from 1: what a failed one has sent is of no use. The
        /// socket belongs to the dump then, and is closed when that ends.
        case stream(@Sendable (_ attempt: Int) async throws -> FileDescriptor)
        /// After it has gone on there, page by page (`servePages`). Until the last one has come the container depends
        /// on both machines.
        case lazy
    }

    /// The checkpoint, without memory. It is the caller's when the hand-over has succeeded.
    public let directory: String
    /// What was recorded.
    public let record: CheckpointRecord
    /// CRIU has put files into the container's file system, for the time of the hand-over, that `onFrozen` may have
    /// missed: what was copied there has to be looked at once more.
    public let hasRelinkedFiles: Bool

    /// Keeps packets that come for it meanwhile. If it runs on here it gets them; else whoever takes it over has to bring
    /// them. Nil if there is no need.
    public let packets: PacketKeeper?

    private let initPID: Int32
    private let fence: HandOverFence
    private let step: @Sendable () async throws -> Void
    private let keeper = Mutex<SocketKeeper?>(nil)

    init(
        directory: String, record: CheckpointRecord, initPID: Int32, fence: HandOverFence,
        packets: PacketKeeper?, step: @escaping @Sendable () async throws -> Void
    ) {
        self.directory = directory
        self.record = record
        self.initPID = initPID
        self.fence = fence
        self.packets = packets
        self.step = step
        hasRelinkedFiles = CheckpointStore.hasRelinkedFiles(directory)
    }

    /// Waits for the end of what was begun by `onFrozen`, and throws what it threw.
    public func filesReady() async throws { try await step() }

    /// Call it before the restore begins where the other machine has the very same files, on shared storage: a restore
    /// binds sockets in them anew, and they are put back if the container runs on here. `rootfs` is the root file system
    /// as it lies in the pool.
    public func keepSockets(in rootfs: String) throws {
        do {
            let keeper = try SocketKeeper(keeping: initPID, in: rootfs)
            self.keeper.withLock { $0 = keeper }
        } catch {
            try? SocketKeeper.putBack(below: initPID, in: rootfs)
            throw error
        }
    }

    /// The container runs elsewhere, or runs on here.
    func finish(isGone: Bool) {
        guard let keeper = keeper.withLock({ $0 }) else { return }
        if isGone { keeper.forget() } else { keeper.putBack() }
    }

    /// The images and the record, to be sent.
    public func chunks() throws -> CheckpointReader { try CheckpointReader(directory: directory) }

    /// How many pages stay here until they are asked for (`Memory.lazy`).
    public func lazyPages() throws -> Int64 {
        try CRIUPagemap.lazyPages(directory: "\(directory)/\(CheckpointStore.images)")
    }

    /// What gives the other machine the memory (`Memory.lazy`): run its `serve()`, from before the restore there begins
    /// until it returns, and do not return before. The socket belongs to it.
    public func servePages(on socket: FileDescriptor) throws -> CRIUPageSource {
        try CRIUPageSource(initPID: initPID, socket: socket)
    }

    /// Settles that the container goes on elsewhere. Write the decision down first, and send it afterwards.
    public func decide() async throws { try await fence.raise() }

    /// Undoes `decide()`: it is certain that the container has not gone on elsewhere, and never will.
    public func takeBack() async throws { try await fence.lower() }
}

/// Keeps the tasks from ever running again: they are frozen as a group, besides being held by CRIU.
final class HandOverFence: Sendable {
    private let cgroup: ContainerCgroup
    private let raised = Atomic(false)

    init(_ cgroup: ContainerCgroup) { self.cgroup = cgroup }

    var isUp: Bool { raised.load(ordering: .acquiring) }

    func raise() async throws {
        raised.store(true, ordering: .releasing)
        do {
            try await cgroup.setFrozen(true)
        } catch {
            raised.store(false, ordering: .releasing)
            try? await cgroup.setFrozen(false)
            throw error
        }
    }

    func lower() async throws {
        try await cgroup.setFrozen(false)
        raised.store(false, ordering: .releasing)
    }

    /// For `CRIUGuard`, which has tasks stand still while it mends them.
    func setFrozenBlocking(_ frozen: Bool) throws {
        if frozen || !isUp { try cgroup.setFrozenBlocking(frozen) }
    }
}

/// What a dump has to know of a hand-over.
struct HandOverPlan: Sendable {
    let memory: HandOver.Memory
    let exchange: @Sendable (HandOver) async throws -> Void

    /// How long a page, or the answer to one, may take. A dump that waits longer fails, and the container runs on.
    private static let stallLimit = timeval(tv_sec: 10, tv_usec: 0)

    /// The page socket of a try.
    func socket(_ attempt: Int) async throws -> FileDescriptor {
        switch memory {
        case .lazy:
            // CRIU would serve the pages itself when it is too late to refuse: it finds that nobody asks.
            return try UnixSocket.pair(.stream).0
        case .stream(let connect):
            let socket = try await connect(attempt)
            try socket.setNonBlocking(false)
            PageSocket.widen(socket)
            var limit = Self.stallLimit
            for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
                try check("setsockopt", "limit the time that memory pages may take") {
                    setsockopt(
                        socket.rawValue, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
                }
            }
            return socket
        }
    }

    var pages: CRIUDumpOptions.Pages {
        switch memory {
        case .stream: .socket
        case .lazy: .lazy
        }
    }

    /// Changes settings of the host that the dump cannot do without.
    func tuneHost() throws -> HostTuning? {
        guard case .lazy = memory else { return nil }
        guard let tuning = HostTuning.allowLargePipes() else {
            throw CheckpointError(
                .system,
                "memory cannot be left behind and sent later on this machine: fs.pipe-max-size is below 4194304 "
                    + "and must not be changed. Set it, or have the memory sent first")
        }
        return tuning
    }
}
