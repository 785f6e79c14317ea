/// The source's half of a live move: what to do next, and never what would leave two containers or none. A pure value.
///
/// The source stops the container and keeps it stopped until it knows that the sink holds a whole one. Then it writes
/// down that the decision is the sink's (`committing`), fences the container so that not even a crash lets it run, and
/// only then says so. From that moment until the sink's answer it does neither run nor end the container.
public struct SourceMachine: Sendable, Hashable {
    /// Where the move is.
    public enum State: Sendable, Hashable {
        /// Nothing has been said yet.
        case idle
        /// The sink looks at the offer.
        case offered
        /// Files are copied while the container runs.
        case copying
        /// The processes are being stopped and saved.
        case saving
        /// Everything has been sent; the sink restores.
        case sent
        /// The sink was told that the container is its own; it has not answered.
        case committing
        /// As `committing`, and the connection is gone: the sink has to be asked.
        case inDoubt
        /// It runs at the sink, which gets its memory from here. What stands still here can never run again.
        case serving
        /// The container is the sink's; it is being ended here.
        case leaving
        /// Over: it runs here, and why.
        case stayed(String)
        /// Over: it is the sink's.
        case moved
    }

    /// What happens to the source.
    public enum Event: Sendable, Hashable {
        /// Begin.
        case start
        /// The sink accepts the offer, and memory is to go like this.
        case accepted(MoveMemory)
        /// The sink refuses it, and why.
        case refused(String)
        /// The first pass over the files is over.
        case copied
        /// The processes are saved, and everything is sent.
        case saved
        /// The sink has restored the container and holds it.
        case held
        /// The sink has let it run.
        case resumed
        /// The sink has all memory.
        case complete
        /// What was left here has ended.
        case ended
        /// A step on this side failed.
        case failed(String)
        /// The sink gives up. Whatever it said before, nothing runs there and nothing will.
        case peerFailed(String)
        /// The connection is gone.
        case linkLost
        /// The sink was asked after the connection was lost, and has answered.
        case verdict(MoveVerdict)
        /// The user wants it to stop.
        case cancelled
        /// The daemon has started again, and this is what its journal says.
        case restarted(SourceJournal)
    }

    /// What to do, in this order.
    public enum Action: Sendable, Hashable {
        /// Tell the sink what is to come.
        case sendOffer
        /// Copy snapshots and files, then report `copied`.
        case copy
        /// Stop the processes and send them, then report `saved`.
        case save
        /// Write down where the move is; it has to be on disk before the next action.
        case journal(SourceJournal)
        /// See that no process of the container can run, even if this daemon or CRIU is killed.
        case fence
        /// Tell the sink that the container is its own.
        case sendCommit
        /// Find the sink, and report its `verdict`; again and again until it answers.
        case ask
        /// Let the container run on here.
        case release
        /// End what is left of the container here, then report `ended`.
        case end
        /// Tell the sink that all has ended here.
        case sendEnded
        /// Tell the sink why this side gives up.
        case sendAbort(String)
        /// Forget the move: the container runs here for this reason.
        case finishStayed(String)
        /// Forget the move: the container is the sink's.
        case finishMoved
        /// Forget the move: the container is the sink's, but its processes were lost for this reason.
        case finishLost(String)
    }

    /// How memory moves.
    private var memory = MoveMemory.stopCopy
    /// Why the sink cannot have got all memory.
    private var loss: String?

    /// Where the move is.
    public private(set) var state: State

    /// A move that has not begun.
    public init() { state = .idle }

    /// Takes an event in.
    public mutating func handle(_ event: Event) -> [Action] {
        switch (state, event) {
        case (.idle, .start):
            state = .offered
            return [.journal(.undecided), .sendOffer]
        case (.offered, .accepted(let memory)):
            self.memory = memory
            state = .copying
            return [.copy]
        case (.offered, .refused(let reason)):
            return stay(reason, tellPeer: false)
        case (.copying, .copied):
            state = .saving
            return [.save]
        case (.saving, .saved):
            state = .sent
            // While the sink restores: it has to be up before the commit.
            return [.fence]
        case (.sent, .held):
            state = .committing
            return [.journal(.committing), .sendCommit]
        case (.committing, .resumed) where memory == .postCopy:
            state = .serving
            return [.journal(.moved)]
        case (.serving, .complete):
            return leave(because: nil)
        case (.serving, .peerFailed(let reason)), (.serving, .failed(let reason)):
            return leave(because: reason)
        case (.serving, .linkLost):
            return leave(because: Self.connectionLost)
        case (.committing, .resumed), (.inDoubt, .resumed), (.inDoubt, .verdict(.moved)):
            // What was to come over the connection went with it.
            return [.journal(.moved)] + leave(because: memory == .postCopy ? Self.connectionLost : nil)
        case (.leaving, .ended):
            state = .moved
            return [.sendEnded, loss.map { .finishLost($0) } ?? .finishMoved]
        case (.leaving, .failed):
            // What cannot be ended now is fenced, and tried again.
            return [.end]
        case (.committing, .peerFailed(let reason)), (.inDoubt, .peerFailed(let reason)):
            return stay(reason, tellPeer: false)
        case (.inDoubt, .verdict(.stayed)):
            return stay("the other host never let it run", tellPeer: false)
        case (.committing, .linkLost), (.committing, .failed):
            state = .inDoubt
            return [.ask]
        case (.idle, .restarted(let journal)):
            return resume(journal)
        case (.idle, _), (.committing, _), (.inDoubt, _), (.serving, _), (.leaving, _), (.stayed, _),
            (.moved, _):
            // Too early or too late to change anything, or nothing new.
            return []
        case (_, .failed(let reason)):
            return stay(reason, tellPeer: true)
        case (_, .peerFailed(let reason)):
            return stay(reason, tellPeer: false)
        case (_, .linkLost):
            return stay(Self.connectionLost, tellPeer: false)
        case (_, .cancelled):
            return stay("it was cancelled", tellPeer: true)
        default:
            return stay("the other host said something out of turn", tellPeer: true)
        }
    }

    private static let connectionLost = "the connection to the other host was lost"

    /// The container is the sink's, with all memory or, for that reason, without.
    private mutating func leave(because loss: String?) -> [Action] {
        self.loss = loss
        state = .leaving
        return [.end]
    }

    /// Gives up: the container runs on here.
    private mutating func stay(_ reason: String, tellPeer: Bool) -> [Action] {
        state = .stayed(reason)
        return (tellPeer ? [.sendAbort(reason)] : []) + [.release, .finishStayed(reason)]
    }

    /// Goes on after a restart of the daemon.
    private mutating func resume(_ journal: SourceJournal) -> [Action] {
        switch journal {
        case .undecided: return stay("apusd was restarted in the middle of the move", tellPeer: false)
        case .committing:
            state = .inDoubt
            return [.fence, .ask]
        case .moved:
            state = .leaving
            return [.end]
        }
    }
}
