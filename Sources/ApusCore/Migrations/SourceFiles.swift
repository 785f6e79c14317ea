import ApusAPI
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

    func pass(
        _ kind: TransferPass, of sender: any VolumeSender, over fs: any MessageSocket, snapshot: String? = nil
    ) async throws {
        let number = passes
        passes += 1
        try await send(
            .pass(
                .with {
                    $0.number = number
                    if let snapshot { $0.snapshot = snapshot }
                    $0.last = kind == .last || kind == .again
                }))
        let report = try await MoveStream.through(fs, count: { [figures] in figures.add("files_sent", $0) }) {
            try await sender.send(kind, over: $0)
        }
        try await expect("word of received files") {
            if case .written(let written) = $0 { written.number == number } else { false }
        }
        figures.pass(bytes: report.bytes, entries: report.copied, isLast: kind == .last || kind == .again)
    }
}
