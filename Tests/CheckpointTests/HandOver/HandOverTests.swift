import Checkpoint
import CRIU
import ContainerRuntime
import Glibc
import LinuxSystem
import Testing

/// Running containers, handed over from one set of directories to another by the real programs.
@Suite(.serialized, .enabled(if: Stage.isPossible, "needs root, an installed CRIU and bin/apus-runtime"))
struct HandOverTests {
    @Test(arguments: [false, true])
    func aContainerGoesOnElsewhere(lazily: Bool) async throws {
        try await Stage.with { stage in
            let source = try await start(stage)
            let before = try await source.verify()
            let pump = try Pump()
            var journey = Journey(stage: stage, lazily: lazily)
            journey.makePump = { pump }
            let (sink, result) = try await journey.move(source)
            if lazily { try await sink.connection.memoryComplete() }
            let after = try await sink.verify()
            #expect(after.id == before.id)
            #expect(after.tick > before.tick)
            #expect(result.attempts == 1)
            // 64 MiB of pattern, and all of it by this way.
            #expect(max(pump.bytesForth, pump.bytesBack) > 64 << 20)
            #expect(source.isGone)
            #expect(!Files.exists(stage.memory + "/source"))
            try await end(sink)
        }
    }

    @Test(
        .enabled(if: Stage.hasDebian, "needs the image that the integration tests build"),
        arguments: [false, true])
    func debianGoesOnElsewhere(lazily: Bool) async throws {
        try await Stage.with { stage in
            let rootfs = try #require(try stage.debian())
            let spec = stage.spec("a", generation: 1, rootfs: rootfs)
            let status = try await stage.launcher.start(spec)
            var container = LiveContainer(spec: spec, initPID: status.initPID)
            try await container.waitFor(["systemctl", "is-system-running", "--wait"])
            try await container.waitFor([
                "systemd-run", "--quiet", "--unit=guest", "/usr/bin/guest", "run", "/var/lib/guest",
            ])
            try await container.waitUntilUp()
            let before = try await container.verify()
            for turn in 1...3 {
                (container, _) = try await Journey(stage: stage, lazily: lazily, sharesFiles: true).move(
                    container)
                try await container.connection.memoryComplete()
                let after = try await container.verify()
                #expect(after.id == before.id, "turn \(turn)")
                // Its PID 1 has to do its work, not only to be there.
                let job = try await container.exec(["systemd-run", "--quiet", "--wait", "true"])
                #expect(job.status.isSuccess, "turn \(turn): \(job.text)")
            }
            try await end(container)
        }
    }

    @Test func twentyInARow() async throws {
        try await Stage.with { stage in
            var container = try await start(stage)
            var last = try await container.verify()
            for turn in 1...20 {
                let journey = Journey(
                    stage: stage, lazily: turn.isMultiple(of: 2), copiesLate: turn.isMultiple(of: 5))
                (container, _) = try await journey.move(container)
                let now = try await container.verify()
                #expect(now.id == last.id, "turn \(turn): it is another process")
                #expect(now.tick > last.tick, "turn \(turn)")
                last = now
                try await container.connection.memoryComplete()
            }
            try await end(container)
        }
    }

    // MARK: What fails before the decision

    @Test func aWayThatBreaksInTheMiddleOfTheDump() async throws {
        try await failing { journey in journey.makePump = { try Pump(cutAfter: 8 << 20) } }
    }

    @Test func aWayThatIsBrokenFromTheBeginning() async throws {
        try await failing { journey in
            journey.makePump = {
                let pump = try Pump()
                pump.cut()
                return pump
            }
        }
    }

    @Test(arguments: [false, true])
    func aRefusalBeforeTheDecision(lazily: Bool) async throws {
        try await failing { journey in
            journey.lazily = lazily
            journey.beforeDecision = { _, _ in throw Trouble("no") }
        }
    }

    @Test func aRefusalWhereBothHaveTheSameFiles() async throws {
        try await failing { journey in
            journey.sharesFiles = true
            journey.beforeDecision = { _, _ in throw Trouble("no") }
        }
    }

    @Test(arguments: [false, true])
    func aSinkThatDies(lazily: Bool) async throws {
        try await failing { journey in
            journey.lazily = lazily
            journey.beforeDecision = { _, held in
                _ = kill(held.initPID, SIGKILL)
                throw Trouble("it has died")
            }
        }
    }

    @Test func aDaemonForMemoryThatDiesIsNoticed() async throws {
        try await failing { journey in
            journey.lazily = true
            journey.beforeDecision = { source, held in
                let folder = source.spec.runtimeDirectory.split(separator: "/").dropLast(2).joined(
                    separator: "/")
                let daemons = try Files.names(in: "/proc").compactMap { pid_t($0) }.filter {
                    let words = Proc.commandLine($0)
                    return words.contains("lazy-pages") && words.contains { $0.hasPrefix("/" + folder) }
                }
                for pid in daemons { _ = kill(pid, SIGKILL) }
                throw Trouble(daemons.isEmpty ? "there was no daemon" : "it has died")
            }
        }
    }

    @Test func aPeerThatNeverAnswersAndACancelledTask() async throws {
        try await Stage.with { stage in
            let source = try await start(stage)
            let before = try await source.verify()
            let (near, far) = try UnixSocket.pair(.stream)
            let task = Task {
                try await stage.checkpointer.handOver(
                    source.subject, into: stage.memory + "/source", memory: .stream { _ in near },
                    options: CheckpointOptions(leaveRunning: false, logFile: stage.folder + "/dump.log")
                ) { _ in }
            }
            // CRIU has asked its first question, and waits for the answer.
            try await far.readable()
            task.cancel()
            await #expect(throws: CheckpointError.self) { try await task.value }
            try await check(source, before, stage)
            withExtendedLifetime(far) {}
            try await end(source)
        }
    }

    @Test func aCancelledExchange() async throws {
        try await Stage.with { stage in
            let source = try await start(stage)
            let before = try await source.verify()
            let (begun, begin) = AsyncStream<Void>.makeStream()
            var journey = Journey(stage: stage)
            journey.beforeDecision = { _, _ in
                begin.yield()
                try await Task.sleep(for: .seconds(60))
            }
            let final = journey
            let task = Task {
                defer { begin.finish() }
                return try await final.move(source)
            }
            for await _ in begun { break }
            task.cancel()
            await #expect(throws: (any Error).self) { try await task.value }
            try await check(source, before, stage)
            try await end(source)
        }
    }

    // MARK: What fails after the decision

    @Test func aFailureAfterTheDecisionLeavesItStandingStill() async throws {
        try await Stage.with { stage in
            let source = try await start(stage)
            let before = try await source.verify()
            var journey = Journey(stage: stage)
            journey.afterDecision = { _ in throw Trouble("nobody knows") }
            let error = await #expect(throws: CheckpointError.self) { try await journey.move(source) }
            #expect(error?.code == .inDoubt)
            #expect(try ContainerCgroup(layout: .current(), name: source.spec.cgroup).isFrozen)
            // Its owner finds out that it has not gone on elsewhere.
            try await Checkpointer.recover(source.subject)
            try await check(source, before, stage, keepsCheckpoint: true)
            try await end(source)
        }
    }

    @Test func aCRIUThatDiesAfterTheDecisionLetsNothingRunOn() async throws {
        try await Stage.with { stage in
            let source = try await start(stage)
            let before = try await source.verify()
            var journey = Journey(stage: stage)
            journey.afterDecision = { source in
                let fields = try ProcessStatus.fields(pid: source.initPID)
                guard let tracer = fields["TracerPid"].flatMap({ pid_t($0) }), tracer > 0 else {
                    throw Trouble("nobody traces init")
                }
                let criu = try ProcessDescriptor(pid: tracer)
                criu.signal(SIGKILL)
                _ = try await criu.waitForEnd(milliseconds: 5000)
            }
            let (sink, _) = try await journey.move(source)
            #expect(try await sink.verify().id == before.id)
            try await gone(source)
            try await end(sink)
        }
    }

    @Test func aLostWayAfterTheCommitEndsTheContainerAndSaysSo() async throws {
        try await Stage.with { stage in
            let source = try await start(stage)
            var journey = Journey(stage: stage, lazily: true)
            // 64 MiB are to come, and at that point most are missing.
            journey.makePump = { try Pump(pauseAfter: 8 << 20) }
            journey.afterCommit = { pump in pump.cut() }
            let (sink, _) = try await journey.move(source)
            let error = await #expect(throws: RuntimeError.self) {
                try await sink.connection.memoryComplete()
            }
            let said = error.map { "\($0)" } ?? ""
            #expect(said.contains("memory") || error?.code == .notRunning, "\(said)")
            #expect(try await sink.connection.ended() == .killed(SIGKILL))
            #expect(try Files.text(sink.spec.logFile).contains("has lost its memory"))
            try await gone(sink)
            try await gone(source)
        }
    }

    // MARK: Restores that are prepared

    @Test func aPreparedRestoreLeavesNothingWhenItIsAbandoned() async throws {
        try await Stage.with { stage in
            let spec = stage.spec("a", generation: 1, rootfs: try stage.busybox())
            let prepared = try await stage.launcher.prepareRestore(spec)
            let container = LiveContainer(spec: spec, initPID: 0)
            #expect(!container.isGone)
            try await prepared.abandon()
            #expect(container.isGone)
            #expect(!Files.exists(spec.runtimeDirectory))
        }
    }

    @Test func aPreparedRestoreOfNothingFailsInPlainWords() async throws {
        try await Stage.with { stage in
            let spec = stage.spec("a", generation: 1, rootfs: try stage.busybox())
            let prepared = try await stage.launcher.prepareRestore(spec)
            let error = await #expect(throws: RuntimeError.self) {
                try await prepared.restore(
                    RestoreOptions(checkpoint: stage.folder + "/none", logFile: stage.folder + "/restore.log")
                )
            }
            #expect(error?.code == .restoreFailed)
            #expect(LiveContainer(spec: spec, initPID: 0).isGone)
        }
    }

    // MARK: Steps

    private func start(_ stage: Stage) async throws -> LiveContainer {
        let spec = stage.spec("a", generation: 1, rootfs: try stage.busybox())
        let status = try await stage.launcher.start(spec)
        let container = LiveContainer(spec: spec, initPID: status.initPID)
        try await container.waitUntilUp()
        return container
    }

    /// A move that fails: the container runs on where it was, and nothing is left elsewhere.
    private func failing(_ change: (inout Journey) -> Void) async throws {
        try await Stage.with { stage in
            let source = try await start(stage)
            let before = try await source.verify()
            var journey = Journey(stage: stage)
            change(&journey)
            await #expect(throws: (any Error).self) { try await journey.move(source) }
            try await check(source, before, stage)
            #expect(LiveContainer(spec: journey.destination(source), initPID: 0).isGone)
            // And a move that is tried again works.
            let (sink, _) = try await Journey(stage: stage).move(source)
            #expect(try await sink.verify().id == before.id)
            try await end(sink)
        }
    }

    /// It runs where it was, unharmed, and the dump has left nothing.
    private func check(
        _ source: LiveContainer, _ before: LiveContainer.Report, _ stage: Stage, keepsCheckpoint: Bool = false
    ) async throws {
        let after = try await source.verify()
        #expect(after.id == before.id)
        #expect(after.tick > before.tick)
        #expect(try !ContainerCgroup(layout: .current(), name: source.spec.cgroup).isFrozen)
        #expect(try ProcessStatus.fields(pid: source.initPID)["TracerPid"] == "0")
        #expect(try !Files.names(in: source.spec.rootfs + "/var/guest").contains { $0.hasPrefix(".apus") })
        if !keepsCheckpoint { #expect(!Files.exists(stage.memory + "/source")) }
    }

    private func end(_ container: LiveContainer) async throws {
        try await container.connection.signalInit(SIGKILL)
        try await gone(container)
    }

    private func gone(_ container: LiveContainer) async throws {
        let end = ContinuousClock.now + .seconds(10)
        while !container.isGone {
            guard ContinuousClock.now < end else { throw Trouble("\(container.spec.cgroup) is still there") }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
