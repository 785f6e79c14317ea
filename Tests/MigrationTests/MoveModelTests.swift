import Migration
import Testing

@Suite struct MoveModelTests {
    /// Explores everything that may happen, and looks at each state once.
    private func explore(_ first: MoveModel) -> (states: Int, ends: Int, offence: String?) {
        var seen: Set<MoveModel> = [first]
        var open = [first]
        var ends = 0
        while let model = open.popLast() {
            if let offence = model.offence { return (seen.count, ends, "\(offence): \(model)") }
            if model.isOver {
                ends += 1
                if let unrest = model.unrest { return (seen.count, ends, "\(unrest): \(model)") }
            }
            for next in model.steps where seen.insert(next).inserted { open.append(next) }
        }
        return (seen.count, ends, nil)
    }

    @Test func withoutFaultsItMoves() {
        var model = MoveModel(faults: 0)
        var steps = 0
        while let next = model.steps.first(where: { $0 != model }), steps < 1000 {
            model = next
            steps += 1
        }
        #expect(model.source?.state == .moved)
        #expect(model.sink?.state == .moved)
        #expect(model.sourceTasks == .ended)
        #expect(model.sinkTasks == .running)
        #expect(model.sourceJournal == nil)
        #expect(model.sinkJournal == nil)
    }

    @Test func withoutFaultsItMovesBeforeItsMemory() {
        let result = explore(MoveModel(faults: 0, memory: .postCopy))
        #expect(result.offence == nil)
        #expect(result.ends > 0)
    }

    /// Only a fault while memory was coming may cost the container, and both hosts are done with it then.
    @Test(arguments: [1, 2, 3])
    func neverTwoAndLostOnlyWithItsMemory(faults: Int) {
        let result = explore(MoveModel(faults: faults, memory: .postCopy))
        #expect(result.offence == nil)
        #expect(result.ends > 0)
        #expect(result.states > [20, 500, 3_000, 8_000][faults])
    }

    /// The model sees a source that does not wait for the sink to have all memory.
    @Test func withoutServingItWouldBeLost() {
        let result = explore(MoveModel(faults: 0, memory: .postCopy, serves: false))
        #expect(result.offence?.hasPrefix("its memory was ended") == true)
    }

    @Test(arguments: [0, 1, 2, 3, 4])
    func neverTwoAndNeverNone(faults: Int) {
        let result = explore(MoveModel(faults: faults))
        #expect(result.offence == nil)
        #expect(result.ends > 0)
        #expect(result.states > [20, 500, 3_000, 8_000, 14_000][faults])
    }

    /// The model sees what it is there to see: without the fence, a daemon that dies at the wrong moment leaves two.
    @Test func withoutTheFenceThereWouldBeTwo() {
        #expect(explore(MoveModel(faults: 0, fences: false)).offence == nil)
        #expect(
            explore(MoveModel(faults: 1, fences: false)).offence?.hasPrefix("it runs on both hosts") == true)
    }

    @Test func aSourceInDoubtNeitherRunsNorEnds() {
        var source = SourceMachine()
        for event: SourceMachine.Event in [.start, .accepted(.stopCopy), .copied, .saved, .held] {
            _ = source.handle(event)
        }
        #expect(source.handle(.linkLost) == [.ask])
        for event: SourceMachine.Event in [.cancelled, .failed("x"), .linkLost, .held, .copied] {
            #expect(source.handle(event) == [])
        }
        #expect(source.handle(.verdict(.moved)) == [.journal(.moved), .end])
    }
}
