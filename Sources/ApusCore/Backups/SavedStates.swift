import ApusAPI
import Checkpoint
import ContainerRuntime
import Images
import LinuxSystem

/// The running states of a backup, checked: each is what its manifest says, and can be restored on this machine.
struct SavedStates: Sendable {
    private let records: [BackupPart: CheckpointRecord]
    /// The ids of the processes on the host; nil: the host's own.
    private let range: Range<Int64>?

    /// Checks the states that were put into a folder.
    init(
        _ index: BackupIndex, in folder: String, _ context: ServiceContext, _ handle: OperationHandle
    ) async throws {
        let checkpointer = try await context.checkpoints.checkpointer()
        var records: [BackupPart: CheckpointRecord] = [:]
        for part in index.states {
            let directory = BackupArchive.folder(of: part, in: folder)
            handle.progress("Checking saved states")
            do {
                records[part] = try CheckpointStore.verify(directory: directory, with: checkpointer)
                try await CheckpointStore.verifyMemory(directory: directory)
            } catch let error as CheckpointError {
                // Where it lies meanwhile says nothing to whoever sent it.
                let text = error.message.replacing(directory, with: part.folder)
                throw ServiceError.badRequest(
                    "A running state of the backup is refused: \(text). Its files alone can be imported (apus import --stateless)"
                )
            }
        }
        self.records = records
        let ranges = Set(records.values.map { $0.idmap?.range })
        guard ranges.count == 1, let range = ranges.first else {
            throw ServiceError.badRequest(
                "The running states of the backup have different user ids; import its files alone (apus import --stateless)"
            )
        }
        self.range = range
    }

    /// Writes into the rows what there is.
    func apply(to record: inout ContainerRecord, _ snapshots: inout [SnapshotRecord]) throws {
        record.idmap = range
        if let state = records[.state] {
            record.stateful = true
            record.stateSize = state.size
            record.stateTakenAt = Timestamp(seconds: Int64(state.takenAt))
        }
        for place in snapshots.indices {
            guard let state = records[.snapshotState(snapshots[place].name)] else { continue }
            snapshots[place].stateful = true
            snapshots[place].stateSize = state.size
        }
    }

    /// Puts the states where a container's are looked for.
    static func install(
        _ index: BackupIndex, from folder: String, as name: String, _ directory: DataDirectory
    ) throws {
        try Files.makeDirectories(directory.checkpoints(name), mode: 0o700)
        for part in index.states {
            let place: String
            if case .snapshotState(let snapshot) = part {
                try directory.makeSnapshotStates(name)
                place = directory.snapshotState(name, snapshot)
            } else {
                place = directory.stoppedState(name)
            }
            try moveFile(BackupArchive.folder(of: part, in: folder), place)
        }
    }
}

extension IDMap {
    /// The ids on the host, of a map as containers have it here.
    fileprivate var range: Range<Int64>? {
        guard let first = users.first, users.count == 1, users == groups, first.inside == 0, first.count > 0
        else { return nil }
        return Int64(first.outside)..<(Int64(first.outside) + Int64(first.count))
    }
}
