import ApusAPI

/// Counts bytes that this program itself moves, and shows them now and then.
actor TransferMeter {
    private let display: ProgressDisplay?
    private let stage: String
    private let total: Int64?
    private var done: Int64 = 0
    private var shown = ContinuousClock.now

    init(display: ProgressDisplay?, stage: String, total: Int64?) {
        self.display = display
        self.stage = stage
        self.total = total
    }

    /// So many bytes more.
    func count(_ bytes: Int) async {
        done += Int64(bytes)
        let now = ContinuousClock.now
        guard let display, now - shown > .milliseconds(100) else { return }
        shown = now
        var progress = OperationProgress(stage: stage)
        progress.bytesDone = done
        progress.bytesTotal = total
        await display.show(progress)
    }
}
