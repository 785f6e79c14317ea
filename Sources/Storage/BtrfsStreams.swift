import Glibc
public import LinuxSystem

/// Volumes as streams, for pools that can tell what has changed between two of them. Subvolumes made inside a container
/// are not part of its stream.
public protocol VolumeStreams: StorageDriver {
    /// Writes a volume; with `parent` only what differs from that snapshot, which the other side has to have received.
    func send(_ volume: Volume, since parent: Volume?, to output: FileDescriptor) async throws

    /// Makes a volume of what `send` wrote.
    func receive(_ volume: Volume, from input: FileDescriptor) async throws
}

extension BtrfsDriver: VolumeStreams {
    /// Writes a volume as `btrfs send` does.
    public func send(_ volume: Volume, since parent: Volume?, to output: FileDescriptor) async throws {
        try plain.requirePresent(volume)
        if let parent { try plain.requirePresent(parent) }
        let place = try StagingPlace(pool: poolPath, content: .nothing)
        do {
            var path = directory(of: volume)
            if case .snapshot = volume {
            } else {
                // Only what stands still can be sent.
                try await plain.blocking("send \(volume)") {
                    try Subvolume.snapshot(self.directory(of: volume), as: place.volume)
                    try Subvolume.setReadOnly(place.volume, true)
                }
                path = place.volume
            }
            let base = parent.map { ["-p", directory(of: $0)] } ?? []
            try await run(["send", "--quiet"] + base + ["--", path], [1: output], "send \(volume)")
        } catch {
            await place.discard()
            throw error
        }
        await place.discard()
    }

    /// Makes a volume with `btrfs receive`.
    public func receive(_ volume: Volume, from input: FileDescriptor) async throws {
        try volume.validate()
        try plain.requireAbsent(volume)
        let place = try StagingPlace(pool: poolPath, content: .nothing)
        do {
            try await run(["receive", "--quiet", "--", place.directory], [0: input], "receive \(volume)")
            try await plain.blocking("receive \(volume)") {
                guard let name = try Files.names(in: place.directory).first else {
                    throw StorageError(.system, "cannot receive \(volume): the stream has no volume in it")
                }
                let received = place.directory + "/" + name
                try Subvolume.setReadOnly(received, false)
                if received != place.volume {
                    try posix(Glibc.rename(received, place.volume), "rename", received)
                }
                try install(place, as: volume)
            }
        } catch {
            await place.discard()
            throw error
        }
    }

    private func run(_ arguments: [String], _ descriptors: [Int32: FileDescriptor], _ action: String)
        async throws
    {
        let errors = try FileDescriptor.memory(named: "errors")
        let fds = descriptors.merging([2: errors]) { own, _ in own }
        let child = try Spawn(["btrfs"] + arguments, fds: fds, directory: "/").start()
        let status = await withTaskCancellationHandler {
            try? await child.waitForExit()
        } onCancel: {
            child.signal(SIGKILL)
        }
        guard status?.isSuccess == true else {
            let words = String(decoding: (try? errors.readFromStart(limit: 4096)) ?? [], as: UTF8.self)
            throw StorageError(
                .system, "cannot \(action): btrfs \(arguments[0]) failed: \(words.trimmingSpaces)")
        }
    }
}
