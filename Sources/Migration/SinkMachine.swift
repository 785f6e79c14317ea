/// The sink's half of a live move. A pure value.
///
/// The sink decides: once it has written down that the container is its own it lets it run, and says so to whoever asks.
/// As long as it has not, it may give up at any time, for whatever reason, because the source waits for its word.
public struct SinkMachine: Sendable, Hashable {
    /// Where the move is.
    public enum State: Sendable, Hashable {
        /// Nothing has been heard yet.
        case idle
        /// The offer is being looked at.
        case checking
        /// Files, memory and state come in.
        case receiving
        /// The processes are being restored.
        case restoring
        /// They stand ready to run.
        case held
        /// The container is this host's, and is being let go.
        case resuming
        /// It runs here, and its memory is still coming.
        case filling
        /// It runs here; the source has not said that it has ended there.
        case running
        /// Over: it is not here, and why.
        case stayed(String)
        /// Over: it is here.
        case moved
        /// Over: it was here alone and has ended, because its memory stopped coming.
        case lost(String)
    }

    /// What happens to the sink.
    public enum Event: Sendable, Hashable {
        /// An offer came.
        case offered
        /// The container can come, and its memory like this.
        case acceptable(MoveMemory)
        /// It cannot, and why.
        case refusable(String)
        /// Everything is there.
        case received
        /// The processes stand ready to run.
        case restored
        /// The source says that the container is this host's.
        case commit
        /// It runs.
        case resumed
        /// It cannot run: nothing of it is left.
        case notResumed(String)
        /// All memory has come.
        case complete
        /// It stopped coming, and the container has ended.
        case memoryLost(String)
        /// The source says that it has ended there.
        case ended
        /// A step on this side failed.
        case failed(String)
        /// The source gives up.
        case peerFailed(String)
        /// The connection is gone.
        case linkLost
        /// The source, or somebody for it, asks who owns the container.
        case asked
        /// The user wants it to stop.
        case cancelled
        /// The daemon has started again: what its journal says, and whether the container runs.
        case restarted(SinkJournal, isAlive: Bool)
    }

    /// What to do, in this order.
    public enum Action: Sendable, Hashable {
        /// Look whether the container can come, then report `acceptable` or `refusable`.
        case check
        /// Accept.
        case sendAccept
        /// Refuse, and why.
        case sendRefuse(String)
        /// Take in what the source sends, then report `received`.
        case receive
        /// Restore the processes and hold them, then report `restored`.
        case restore
        /// Tell the source that they are held.
        case sendHeld
        /// Write down where the move is; it has to be on disk before the next action.
        case journal(SinkJournal)
        /// Let the processes run, then report `resumed` or `notResumed`.
        case resume
        /// Tell the source that it runs here.
        case sendResumed
        /// Wait for its memory, then report `complete` or `memoryLost`.
        case fill
        /// No more memory can come: let go of the way it came by.
        case stopFilling
        /// Tell the source that all memory is here.
        case sendComplete
        /// The container is here but has ended, for this reason.
        case finishLost(String)
        /// Remove everything that has come, processes first.
        case discard
        /// Tell the source why this side gives up.
        case sendAbort(String)
        /// Answer whoever asked.
        case answer(MoveVerdict)
        /// The container is here and works; the source may not know yet.
        case finishMoved
        /// Forget the move: the container is not here, for this reason.
        case finishStayed(String)
        /// Forget the move: nobody will ask again.
        case forget
    }

    /// How memory comes.
    private var memory = MoveMemory.stopCopy

    /// Where the move is.
    public private(set) var state: State

    /// A move that has not begun.
    public init() { state = .idle }

    /// Takes an event in.
    public mutating func handle(_ event: Event) -> [Action] {
        switch (state, event) {
        case (.idle, .offered):
            state = .checking
            return [.journal(.receiving), .check]
        case (.checking, .acceptable(let memory)):
            self.memory = memory
            state = .receiving
            return [.sendAccept, .receive]
        case (.checking, .refusable(let reason)):
            state = .stayed(reason)
            return [.sendRefuse(reason), .discard, .finishStayed(reason), .forget]
        case (.receiving, .received):
            state = .restoring
            return [.restore]
        case (.restoring, .restored):
            state = .held
            return [.sendHeld]
        case (.held, .commit):
            state = .resuming
            // Without its memory it dies with this daemon: nobody could tell afterwards whether it has run.
            return [.journal(memory == .postCopy ? .filling : .committed), .resume]
        case (.resuming, .resumed) where memory == .postCopy:
            state = .filling
            return [.sendResumed, .fill]
        case (.filling, .complete):
            state = .running
            return [.journal(.resumed), .sendComplete, .finishMoved]
        case (.filling, .memoryLost(let reason)):
            state = .lost(reason)
            return [.journal(.lost), .sendAbort(reason), .finishLost(reason)]
        case (.lost, .ended):
            return [.forget]
        case (.filling, .linkLost), (.filling, .peerFailed), (.filling, .failed), (.filling, .ended):
            // Perhaps all has come: whoever waits for it will say.
            return [.stopFilling]
        case (.resuming, .resumed):
            state = .running
            return [.journal(.resumed), .sendResumed, .finishMoved]
        case (.resuming, .notResumed(let reason)):
            state = .stayed(reason)
            // It was about to run: the source may let its own run only when it is certain that nothing is left here.
            return [.discard, .journal(.receiving), .sendAbort(reason), .finishStayed(reason), .forget]
        case (.running, .ended):
            state = .moved
            return [.forget]
        case (.filling, .asked), (.running, .asked), (.moved, .asked), (.lost, .asked):
            return [.answer(.moved)]
        case (.resuming, .asked):
            // Not certain yet: who asks will ask again.
            return []
        case (.resuming, _), (.filling, _), (.running, _), (.moved, _), (.lost, _):
            return []
        case (.stayed, .asked):
            return [.answer(.stayed)]
        case (.stayed, _):
            return []
        case (.idle, .restarted(let journal, let isAlive)):
            return resume(journal, isAlive)
        case (.idle, .asked):
            // A move that nobody knows never came to run here.
            return [.answer(.stayed)]
        case (.idle, _):
            return []
        case (_, .asked):
            // The source has lost the connection: what it is told now must remain true.
            return stay("the connection to the other host was lost", tellPeer: false) + [.answer(.stayed)]
        case (_, .failed(let reason)):
            return stay(reason, tellPeer: true)
        case (_, .peerFailed(let reason)):
            return stay(reason, tellPeer: false)
        case (_, .linkLost):
            return stay("the connection to the other host was lost", tellPeer: false)
        case (_, .cancelled):
            return stay("it was cancelled", tellPeer: true)
        default:
            return stay("the other host said something out of turn", tellPeer: true)
        }
    }

    /// Gives up: nothing of the container stays here.
    private mutating func stay(_ reason: String, tellPeer: Bool) -> [Action] {
        state = .stayed(reason)
        // The source hears of it first: its container stands still, and what is here never ran and never will.
        return (tellPeer ? [.sendAbort(reason)] : []) + [.discard, .finishStayed(reason), .forget]
    }

    private static let interrupted = "apusd ended here while its memory was still coming"

    /// Goes on after a restart of the daemon.
    private mutating func resume(_ journal: SinkJournal, _ isAlive: Bool) -> [Action] {
        switch journal {
        case .resumed:
            state = .running
            return [.finishMoved]
        case .committed where isAlive, .filling where isAlive:
            state = .running
            return [.journal(.resumed), .finishMoved]
        case .filling:
            state = .lost(Self.interrupted)
            return [.journal(.lost), .finishLost(Self.interrupted)]
        case .lost:
            state = .lost(Self.interrupted)
            return [.finishLost(Self.interrupted)]
        case .committed, .receiving:
            return stay("apusd was restarted in the middle of the move", tellPeer: false)
        }
    }
}
