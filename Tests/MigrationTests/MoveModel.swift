import Migration

/// Both hosts of a move and the connection between them, as one value: every step that may happen next leads to
/// another one. What is explored is every order of events, with every loss of the connection and every crash of either
/// daemon, at every moment, as often as `faults` allows.
struct MoveModel: Hashable {
    /// The processes on the source.
    enum SourceTasks: Hashable {
        case running, ended
        /// Stopped by CRIU, which lets go of them if the daemon dies.
        case stopped
        /// Not to be run by anybody but this daemon.
        case fenced
    }

    /// The processes on the sink.
    enum SinkTasks: Hashable {
        case none
        /// Restored, not running; they end with the daemon.
        case held
        /// It runs, but what it touches may still be at the source.
        case filling
        case running
        /// Memory stopped coming, so it was ended.
        case lost
    }

    /// What travels.
    enum Message: Hashable {
        case offer, accept, state, held, commit, resumed, complete, ended
        case refuse(String), abort(String)
    }

    /// Work that takes a while and then reports.
    enum Work: Hashable {
        case copy, save, end, ask, check, receive, restore, resume, fill
    }

    var source: SourceMachine? = SourceMachine()
    var sink: SinkMachine? = SinkMachine()
    var sourceActions: [SourceMachine.Action] = []
    var sinkActions: [SinkMachine.Action] = []
    var sourceWork: Set<Work> = []
    var sinkWork: Set<Work> = []
    var sourceJournal: SourceJournal?
    var sinkJournal: SinkJournal?
    var sourceTasks = SourceTasks.running
    var sinkTasks = SinkTasks.none
    var hasRunOnSink = false
    var toSink: [Message] = []
    var toSource: [Message] = []
    var isLinked = true
    /// Who has not noticed yet that the connection is gone.
    var sourceUnaware = false
    var sinkUnaware = false
    /// How much may still go wrong.
    var faults: Int
    /// Whether the fence holds; false shows that the model would see a source without one.
    let fences: Bool
    /// How memory moves.
    let memory: MoveMemory
    /// Whether the source knows of that; false shows that the model would see one that ends too early.
    let serves: Bool

    init(faults: Int, fences: Bool = true, memory: MoveMemory = .stopCopy, serves: Bool = true) {
        self.faults = faults
        self.fences = fences
        self.memory = memory
        self.serves = serves
        sourceActions = source?.handle(.start) ?? []
    }

    /// Whether nothing can happen any more without another fault.
    var isOver: Bool { calmSteps.isEmpty }

    /// What must never be.
    var offence: String? {
        let runsThere = sinkTasks == .running || sinkTasks == .filling
        if sourceTasks == .running, runsThere || sinkTasks == .lost { return "it runs on both hosts" }
        if sourceTasks == .ended, sinkTasks == .filling, isLinked { return "its memory was ended under it" }
        if sourceTasks == .ended, !hasRunOnSink, sinkTasks != .lost {
            return "it ended on the source and never ran on the sink"
        }
        if sourceTasks == .ended, !runsThere, sinkTasks != .lost { return "it is on neither host" }
        return nil
    }

    /// What must not be when all has come to rest.
    var unrest: String? {
        let here = sourceTasks == .running
        let there = sinkTasks == .running
        if sinkTasks == .lost {
            return sourceTasks == .ended ? nil : "what is of no use stands still for ever"
        }
        if here == there { return "at rest it runs \(here ? "twice" : "nowhere")" }
        if sinkTasks == .held { return "a held copy was forgotten" }
        return sourceTasks == .fenced || sourceTasks == .stopped
            ? "the source's copy stands still for ever" : nil
    }

    /// Everything that may happen next.
    var steps: [MoveModel] { calmSteps + faultySteps }

    // MARK: What happens by itself

    private var calmSteps: [MoveModel] {
        var next: [MoveModel] = []
        if !sourceActions.isEmpty { next.append(changed { $0.runSourceAction() }) }
        if !sinkActions.isEmpty { next.append(changed { $0.runSinkAction() }) }
        // Messages and ends of work are taken in when the machine has nothing else to do.
        if source != nil, sourceActions.isEmpty {
            for work in sourceWork { next.append(changed { $0.finishSource(work) }) }
            if let message = toSource.first {
                next.append(
                    changed {
                        $0.toSource.removeFirst()
                        $0.take(message, atSource: true)
                    })
            } else if sourceUnaware {
                next.append(
                    changed {
                        $0.sourceUnaware = false
                        $0.tellSource(.linkLost)
                    })
            }
        }
        if sink != nil, sinkActions.isEmpty {
            for work in sinkWork { next.append(changed { $0.finishSink(work) }) }
            if let message = toSink.first {
                next.append(
                    changed {
                        $0.toSink.removeFirst()
                        $0.take(message, atSource: false)
                    })
            } else if sinkUnaware {
                next.append(
                    changed {
                        $0.sinkUnaware = false
                        $0.tellSink(.linkLost)
                    })
            }
        }
        if source == nil { next.append(changed { $0.restartSource() }) }
        if sink == nil { next.append(changed { $0.restartSink() }) }
        return next
    }

    // MARK: What goes wrong

    private var faultySteps: [MoveModel] {
        guard faults > 0 else { return [] }
        var next: [MoveModel] = []
        if isLinked {
            next.append(faulty { $0.cut(keepingToSource: $0.toSource.count, toSink: $0.toSink.count) })
            next.append(faulty { $0.cut(keepingToSource: 0, toSink: $0.toSink.count) })
            next.append(faulty { $0.cut(keepingToSource: $0.toSource.count, toSink: 0) })
            next.append(faulty { $0.cut(keepingToSource: 0, toSink: 0) })
        }
        if source != nil {
            next.append(faulty { $0.crashSource() })
            if sourceActions.isEmpty {
                next.append(faulty { $0.tellSource(.cancelled) })
                for work in sourceWork where work != .ask {
                    next.append(
                        faulty {
                            $0.sourceWork.remove(work)
                            $0.tellSource(.failed("\(work)"))
                        })
                }
            }
        }
        if sink != nil {
            next.append(faulty { $0.crashSink() })
            if sinkActions.isEmpty {
                next.append(faulty { $0.tellSink(.cancelled) })
                for work in sinkWork {
                    next.append(
                        faulty {
                            $0.sinkWork.remove(work)
                            $0.fail(work)
                        })
                }
            }
        }
        return next
    }

    private mutating func fail(_ work: Work) {
        switch work {
        case .resume: tellSink(.notResumed("resume"))
        case .fill:
            sinkTasks = .lost
            tellSink(.memoryLost("fill"))
        default: tellSink(.failed("\(work)"))
        }
    }

    private mutating func cut(keepingToSource: Int, toSink kept: Int) {
        isLinked = false
        toSource = Array(toSource.prefix(keepingToSource))
        toSink = Array(toSink.prefix(kept))
        // The pages still missing come no more.
        if sinkTasks == .filling { sinkTasks = .lost }
        sourceUnaware = source != nil
        sinkUnaware = sink != nil
    }

    private mutating func crashSource() {
        source = nil
        sourceActions = []
        sourceWork = []
        // CRIU finds that nobody listens any more, and lets go.
        if sourceTasks == .stopped { sourceTasks = .running }
        cut(keepingToSource: 0, toSink: toSink.count)
    }

    private mutating func crashSink() {
        sink = nil
        sinkActions = []
        sinkWork = []
        if sinkTasks == .held { sinkTasks = .none }
        if sinkTasks == .filling { sinkTasks = .lost }
        cut(keepingToSource: toSource.count, toSink: 0)
    }

    private mutating func restartSource() {
        source = SourceMachine()
        if let journal = sourceJournal { tellSource(.restarted(journal)) }
    }

    private mutating func restartSink() {
        sink = SinkMachine()
        if let journal = sinkJournal { tellSink(.restarted(journal, isAlive: sinkTasks == .running)) }
    }

    // MARK: Doing what the machines want

    private mutating func tellSource(_ event: SourceMachine.Event) {
        sourceActions += source?.handle(event) ?? []
    }

    private mutating func tellSink(_ event: SinkMachine.Event) { sinkActions += sink?.handle(event) ?? [] }

    private mutating func send(_ message: Message, toSource isToSource: Bool) {
        guard isLinked else { return }
        if isToSource { toSource.append(message) } else { toSink.append(message) }
    }

    private mutating func runSourceAction() {
        switch sourceActions.removeFirst() {
        case .sendOffer: send(.offer, toSource: false)
        case .copy: sourceWork.insert(.copy)
        case .save:
            sourceTasks = .stopped
            sourceWork.insert(.save)
        case .journal(let state): sourceJournal = state
        case .fence: if fences { sourceTasks = .fenced }
        case .sendCommit: send(.commit, toSource: false)
        case .ask:
            if isLinked { cut(keepingToSource: 0, toSink: toSink.count) }
            sourceUnaware = false
            sourceWork.insert(.ask)
        case .release:
            sourceWork = []
            sourceTasks = .running
        case .end: sourceWork.insert(.end)
        case .sendEnded: send(.ended, toSource: false)
        case .sendAbort(let reason): send(.abort(reason), toSource: false)
        case .finishStayed, .finishMoved, .finishLost:
            sourceJournal = nil
            // The connection is closed.
            if isLinked { cut(keepingToSource: 0, toSink: toSink.count) }
            sourceUnaware = false
        }
    }

    private mutating func runSinkAction() {
        switch sinkActions.removeFirst() {
        case .check: sinkWork.insert(.check)
        case .sendAccept: send(.accept, toSource: true)
        case .sendRefuse(let reason): send(.refuse(reason), toSource: true)
        case .receive: sinkWork.insert(.receive)
        case .restore: sinkWork.insert(.restore)
        case .sendHeld: send(.held, toSource: true)
        case .journal(let state):
            sinkJournal = state
            // Whether it has run or not: it never will.
            if state == .lost { sinkTasks = .lost }
        case .resume: sinkWork.insert(.resume)
        case .sendResumed: send(.resumed, toSource: true)
        case .discard:
            sinkWork = []
            if sinkTasks == .held { sinkTasks = .none }
        case .sendAbort(let reason): send(.abort(reason), toSource: true)
        case .fill: sinkWork.insert(.fill)
        case .stopFilling: if sinkTasks == .filling { sinkTasks = .lost }
        case .sendComplete: send(.complete, toSource: true)
        case .answer(let verdict):
            if sourceWork.contains(.ask) {
                sourceWork.remove(.ask)
                tellSource(.verdict(verdict))
            }
        case .finishMoved: break
        case .finishStayed, .finishLost:
            if isLinked { cut(keepingToSource: toSource.count, toSink: 0) }
            sinkUnaware = false
        case .forget: sinkJournal = nil
        }
    }

    private mutating func finishSource(_ work: Work) {
        switch work {
        case .copy:
            sourceWork.remove(work)
            tellSource(.copied)
        case .save:
            sourceWork.remove(work)
            send(.state, toSource: false)
            tellSource(.saved)
        case .end:
            sourceWork.remove(work)
            sourceTasks = .ended
            tellSource(.ended)
        case .ask:
            // Answered when the sink is there and has done what it was at.
            if sink != nil, sinkActions.isEmpty { tellSink(.asked) }
        default: break
        }
    }

    private mutating func finishSink(_ work: Work) {
        switch work {
        case .check:
            sinkWork.remove(work)
            tellSink(.acceptable(memory))
        // Ends with the message `state`.
        case .receive: break
        case .restore:
            sinkWork.remove(work)
            sinkTasks = .held
            tellSink(.restored)
        case .resume:
            sinkWork.remove(work)
            sinkTasks = memory == .stopCopy ? .running : isLinked ? .filling : .lost
            hasRunOnSink = true
            tellSink(.resumed)
        case .fill:
            sinkWork.remove(work)
            if sinkTasks == .filling { sinkTasks = .running }
            tellSink(sinkTasks == .lost ? .memoryLost("lost") : .complete)
        default: break
        }
    }

    private mutating func take(_ message: Message, atSource: Bool) {
        switch message {
        case .accept: tellSource(.accepted(serves ? memory : .stopCopy))
        case .complete: tellSource(.complete)
        case .refuse(let reason): tellSource(.refused(reason))
        case .held: tellSource(.held)
        case .resumed: tellSource(.resumed)
        case .offer: tellSink(.offered)
        case .state:
            sinkWork.remove(.receive)
            tellSink(.received)
        case .commit: tellSink(.commit)
        case .ended: tellSink(.ended)
        case .abort(let reason):
            if atSource { tellSource(.peerFailed(reason)) } else { tellSink(.peerFailed(reason)) }
        }
    }

    private func changed(_ change: (inout MoveModel) -> Void) -> MoveModel {
        var copy = self
        change(&copy)
        return copy
    }

    private func faulty(_ change: (inout MoveModel) -> Void) -> MoveModel {
        changed {
            $0.faults -= 1
            change(&$0)
        }
    }
}
