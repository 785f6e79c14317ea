public import ApusAPI
import Storage

/// What the work of an operation can tell about itself.
public struct OperationHandle: Sendable {
    /// What tells of progress in an operation's metadata, until its end. LXD's client takes every key that ends with
    /// "_progress" for text to show, and panics where it is none.
    static let progressKeys = ["apus_work", "work_progress"]

    /// The operation's UUID.
    public let id: String
    private let service: OperationService

    init(id: String, service: OperationService) {
        self.id = id
        self.service = service
    }

    /// Says how far the work is.
    public func progress(_ stage: String, percent: Int? = nil) {
        progress(OperationProgress(stage: stage, percent: percent))
    }

    /// Says how far the work is.
    public func progress(_ progress: OperationProgress) {
        var value: [String: JSONValue] = ["stage": .string(progress.stage)]
        if let percent = progress.percent { value["percent"] = .int(Int64(percent)) }
        if let done = progress.bytesDone { value["bytes_done"] = .int(done) }
        if let total = progress.bytesTotal { value["bytes_total"] = .int(total) }
        service.merge(
            id,
            Dictionary(
                uniqueKeysWithValues: zip(Self.progressKeys, [.object(value), .string(progress.text)])),
            transient: true)
    }

    /// Says how far a transfer of files is.
    func transferProgress(_ stage: String) -> TransferProgress.Callback {
        { progress in
            var now = OperationProgress(stage: stage, percent: nil)
            now.bytesDone = Int64(clamping: progress.bytes)
            self.progress(now)
        }
    }

    /// Sets members of the operation's metadata.
    public func set(_ members: [String: JSONValue]) { service.merge(id, members, transient: false) }
}
