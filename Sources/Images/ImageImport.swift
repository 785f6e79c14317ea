import Crypto
import Glibc
import LinuxSystem
import Storage
import Synchronization

/// An image file on its way into the store.
public final class ImageImport: Sendable {
    private let store: ImageStore
    private let path: String
    private let state: Mutex<State>

    private struct State {
        var file: FileDescriptor?
        var hash = SHA256()
        var size: UInt64 = 0
        var hasRoot = false
        var hasEnded = false
    }

    init(store: ImageStore, directory: String) throws {
        self.store = store
        path = Self.freshPath(in: directory)
        let file: FileDescriptor
        do {
            file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        } catch {
            throw ImageError(.system, "cannot begin to import an image: \(error)")
        }
        state = Mutex(State(file: file))
    }

    /// Takes a whole file over by renaming it; nil if it lies on another file system.
    init?(store: ImageStore, directory: String, taking file: String) throws {
        self.store = store
        path = Self.freshPath(in: directory)
        state = Mutex(State())
        if rename(file, path) != 0 {
            if errno == EXDEV { return nil }
            throw ImageError(.system, "cannot import \(file): \(SystemError.reason(errno))")
        }
        chmod(path, 0o600)
    }

    deinit { cancel() }

    /// Ends the first file; what is written from here on is the root file system of a split image.
    public func beginRoot() throws {
        try state.withLock { state in
            guard let file = state.file, !state.hasEnded, !state.hasRoot else {
                throw ImageError(.invalid, "an image has at most two files")
            }
            if fsync(file.rawValue) != 0 { throw Self.writeError(errno, directory: store.directory) }
            file.close()
            state.hasRoot = true
            state.file = try FileDescriptor.open(rootPath, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        }
    }

    private var rootPath: String { path + ImageStore.rootSuffix }

    /// Adds bytes. Blocks for the time of one write to the page cache.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        try state.withLock { state in
            guard let file = state.file, !state.hasEnded else {
                throw ImageError(.system, "the import of this image has ended already")
            }
            var written = 0
            while written < bytes.count {
                let result = Glibc.write(
                    file.rawValue, bytes.baseAddress?.advanced(by: written), bytes.count - written)
                if result < 0 && errno == EINTR { continue }
                if result < 0 { throw Self.writeError(errno, directory: store.directory) }
                written += result
            }
            state.hash.update(bufferPointer: bytes)
            state.size += UInt64(bytes.count)
        }
    }

    /// Checks the whole file, and moves it into the store. On failure nothing is left of it.
    /// `expecting`: the fingerprint that was announced.
    public func finish(expecting fingerprint: String? = nil) async throws -> StoredImage {
        do {
            let (actual, size) = try await Blocking.run { try self.close() }
            if let fingerprint, fingerprint.lowercased() != actual {
                throw ImageError(
                    .fingerprintMismatch,
                    "the image's fingerprint is \(actual), but \(fingerprint) was expected: it was altered on its way"
                )
            }
            let wasThere = store.exists(actual)
            let isSplit = state.withLock { $0.hasRoot }
            let metadata = try await inspect(isSplit: isSplit)
            guard ImageArchitecture.isSupported(metadata.architecture) else {
                throw ImageError(
                    .invalid,
                    "the image is for \(metadata.architecture) machines; this one runs \(ImageArchitecture.current)"
                )
            }
            let place = store.path(of: actual)
            if wasThere {
                cancel()
            } else {
                // The first file makes the image be there: it comes last.
                if isSplit, rename(rootPath, store.rootPath(of: actual)) != 0 {
                    throw Self.writeError(errno, directory: store.directory)
                }
                if rename(path, place) != 0 { throw Self.writeError(errno, directory: store.directory) }
                state.withLock { $0.hasEnded = true }
            }
            return StoredImage(
                fingerprint: actual, size: size, path: place, metadata: metadata, wasThere: wasThere)
        } catch {
            cancel()
            throw error
        }
    }

    private func inspect(isSplit: Bool) async throws -> ImageMetadata {
        do {
            return try await ImageArchive.inspect(
                path, root: isSplit ? rootPath : nil, limits: store.limits)
        } catch let error as ImageError {
            // Where the files lie meanwhile says nothing to whoever sent them.
            let text = error.message.replacing(rootPath, with: "the root file system")
                .replacing(path, with: "the image")
            throw ImageError(error.code, text)
        }
    }

    /// Gives the import up. Does nothing once it has ended.
    public func cancel() {
        state.withLock { state in
            state.file?.close()
            if !state.hasEnded {
                unlink(path)
                if state.hasRoot { unlink(rootPath) }
            }
            state.hasEnded = true
        }
    }

    /// Ends the writing, and returns the fingerprint and the size.
    private func close() throws -> (String, UInt64) {
        try state.withLock { state in
            if state.hasEnded { throw ImageError(.system, "the import of this image has ended already") }
            if let file = state.file {
                if fsync(file.rawValue) != 0 { throw Self.writeError(errno, directory: store.directory) }
                file.close()
                return (Fingerprint.hex(state.hash.finalize()), state.size)
            }
            return try Fingerprint.ofFile(path)
        }
    }

    private static func freshPath(in directory: String) -> String {
        "\(directory)/\(String(UInt64.random(in: .min ... .max), radix: 16))"
    }

    private static func writeError(_ reason: Int32, directory: String) -> ImageError {
        if reason == ENOSPC || reason == EDQUOT {
            return ImageError(
                .tooLarge,
                "cannot import the image: the file system of \(directory) is full. Make room there, then try again"
            )
        }
        return ImageError(.system, "cannot import the image: \(SystemError.reason(reason))")
    }
}

/// The names of image files.
public enum Fingerprint {
    /// The fingerprint of a file and its size.
    public static func ofFile(_ path: String) throws -> (String, UInt64) {
        let file = try FileDescriptor.open(path, O_RDONLY)
        var hash = SHA256()
        var size: UInt64 = 0
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        while true {
            let count = read(file.rawValue, buffer.baseAddress, buffer.count)
            if count < 0 && errno == EINTR { continue }
            if count < 0 { throw SystemError("read", "read \(path)") }
            if count == 0 { return (hex(hash.finalize()), size) }
            hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            size += UInt64(count)
        }
    }

    static func hex(_ digest: SHA256.Digest) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in digest {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
