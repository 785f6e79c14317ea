import ApusAPI
import Checkpoint
import FoundationEssentials
import LinuxSystem
import Migration
import Storage
import SwiftProtobuf

extension SourceMove {
    /// Snapshots and files, while the container runs.
    func copy() async throws {
        let fs = try await sockets.socket(.fs)
        let choice = try JSONDecoder().decode(TransferChoice.self, from: answer.transfer)
        let driver = plan.driver
        for snapshot in plan.snapshots {
            handle?.progress("Sending snapshot \(snapshot)")
            if plan.header.apusOffer.statefulSnapshots.contains(snapshot) {
                try await sendState(of: snapshot, over: fs)
            }
            let volume = Volume.snapshot(container: plan.name, name: snapshot)
            let sender = try await driver.sender(VolumeSource(volume), TransferOptions(choice))
            try await sender.ending { try await pass(.first, of: sender, over: fs, snapshot: snapshot) }
        }
        handle?.progress("Sending files")
        var options = TransferOptions(choice)
        if let handle { options.progress = handle.transferProgress("Sending files") }
        let sender = try await driver.sender(VolumeSource(container: plan.name, plan.live), options)
        self.sender = sender
        try await pass(.first, of: sender, over: fs)
        // What has changed meanwhile need not be sent while it stands still.
        try await pass(.update, of: sender, over: fs)
    }

    /// The running state of a snapshot, memory included.
    private func sendState(of snapshot: String, over fs: any MessageSocket) async throws {
        let directory = containers.context.directory.snapshotState(plan.name, snapshot)
        let number = try await announcePass {
            $0.snapshot = snapshot
            $0.state = true
        }
        try await MoveStream.through(fs, count: { [figures] in figures.add("states_sent", $0) }) {
            try await CheckpointStore.send(directory, over: $0)
        }
        try await expectWritten(number)
    }

    /// Tells the sink what follows, and returns its number.
    private func announcePass(_ describe: (inout Migration_ApusPass) -> Void) async throws -> UInt32 {
        let number = passes
        passes += 1
        var pass = Migration_ApusPass()
        pass.number = number
        describe(&pass)
        try await send(.pass(pass))
        return number
    }

    private func expectWritten(_ number: UInt32) async throws {
        try await expect("word of what was received") {
            if case .written(let written) = $0 { written.number == number } else { false }
        }
    }

    func pass(
        _ kind: TransferPass, of sender: any VolumeSender, over fs: any MessageSocket, snapshot: String? = nil
    ) async throws {
        let number = try await announcePass {
            if let snapshot { $0.snapshot = snapshot }
            $0.last = kind == .last || kind == .again
        }
        let report = try await MoveStream.through(fs, count: { [figures] in figures.add("files_sent", $0) }) {
            try await sender.send(kind, over: $0)
        }
        try await expectWritten(number)
        figures.pass(bytes: report.bytes, entries: report.copied, isLast: kind == .last || kind == .again)
    }
}
