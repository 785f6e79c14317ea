import CArchive
import Glibc
import LinuxSystem
import Storage

/// Images in squashfs files, by the programs of squashfs-tools.
enum Squashfs {
    /// What a file claims to hold.
    struct Size {
        var entries: UInt64 = 0
        var bytes: UInt64 = 0
    }

    /// Whether a file is a squashfs, by its first bytes.
    static func isSquashfs(_ path: String) -> Bool { ImageCompression.of(path) == .squashfs }

    /// Adds up what a file unpacks to, and refuses what would fill the host.
    static func measure(_ path: String, limits: UnpackLimits) async throws -> Size {
        let output = try FileDescriptor.pipe()
        let messages = try FileDescriptor.pipe()
        let process = try start(
            ["unsquashfs", "-d", "", "-lln", path], [1: output.write, 2: messages.write])
        output.write.close()
        messages.write.close()
        async let complaints = Blocking.run { (try? messages.read.readAll(limit: 1 << 16)) ?? [] }
        var size = Size()
        var refusal: ImageError?
        do {
            size = try await Blocking.run { try add(output.read, limits) }
        } catch let error as ImageError {
            refusal = error
            process.signal(SIGKILL)
        }
        output.read.close()
        let words = String(decoding: try await complaints, as: UTF8.self)
        let status = try await process.waitForExit()
        if let refusal { throw refusal }
        guard status.isSuccess, size.entries > 0 else {
            throw ImageError(.invalid, "the image file is not a whole squashfs: \(lastLine(words, status))")
        }
        return size
    }

    /// Reads one small file out of a squashfs.
    static func file(_ name: String, of path: String) async throws -> [UInt8] {
        do {
            return try await HelperProgram.succeed(["unsquashfs", "-cat", path, name]).output
        } catch {
            throw ImageError(
                .invalid, "the image file has no \(name) in it, so it is not a whole image: \(error)")
        }
    }

    /// Unpacks into a directory that does not exist yet. Device nodes and sockets are taken away again; until then the
    /// directory has to be one that root alone can enter.
    static func unpack(_ path: String, into directory: String) async throws -> UnpackReport {
        do {
            try await HelperProgram.succeed(["unsquashfs", "-no-progress", "-quiet", "-d", directory, path])
        } catch let error as HelperFailure {
            throw ImageError(
                error.errors.contains("No space left") ? .tooLarge : .invalid,
                "cannot unpack the squashfs image: \(error)")
        }
        return try await Blocking.run {
            var report = UnpackReport()
            let root = try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            try clean(root, "", &report)
            return report
        }
    }

    /// Packs directories and files; each becomes an entry of the root.
    static func pack(_ sources: [String], to path: String) async throws {
        let arguments =
            [
                "mksquashfs"
            ] + sources + [
                path, "-noappend", "-no-progress", "-quiet", "-comp", "zstd", "-keep-as-directory", "-xattrs",
            ]
        do {
            try await HelperProgram.succeed(arguments)
        } catch {
            unlink(path)
            throw ImageError(.system, "cannot pack the image: \(error)")
        }
    }

    private static func start(
        _ arguments: [String], _ fds: [Int32: FileDescriptor]
    ) throws -> ProcessDescriptor {
        do {
            return try Spawn(arguments, fds: fds).start()
        } catch {
            throw ImageError(
                .system, "cannot read a squashfs image: \(error). Install the package squashfs-tools")
        }
    }

    /// Adds up the lines of a listing: "-rw-r--r-- 0/0      1234 2026-11-23 04:05 /etc/hosts".
    private static func add(_ listing: FileDescriptor, _ limits: UnpackLimits) throws -> Size {
        var size = Size()
        var rest: [UInt8] = []
        while true {
            let part = try listing.read(upTo: 1 << 16)
            if part.isEmpty { return size }
            rest.append(contentsOf: part)
            while let end = rest.firstIndex(of: 10) {
                try add(rest[..<end], to: &size, limits)
                rest.removeSubrange(...end)
            }
        }
    }

    private static func add(_ line: ArraySlice<UInt8>, to size: inout Size, _ limits: UnpackLimits) throws {
        guard let kind = line.first, "-dlbcps".utf8.contains(kind) else { return }
        size.entries += 1
        if kind == UInt8(ascii: "-") {
            let fields = line.split(separator: 32, maxSplits: 3)
            let bytes = fields.count > 2 ? UInt64(String(decoding: fields[2], as: UTF8.self)) ?? 0 : 0
            guard bytes <= limits.fileSize else {
                throw ImageError(
                    .tooLarge, "the image is refused: a file in it claims to be \(bytes) bytes large")
            }
            size.bytes += bytes
        }
        guard size.bytes <= limits.bytes, size.entries <= limits.entries else {
            throw ImageError(
                .tooLarge,
                "the image is refused: it unpacks to more than \(limits.bytes) bytes or \(limits.entries) entries"
            )
        }
    }

    /// Removes what no image may bring: device nodes and sockets. Never follows a symlink.
    private static func clean(_ directory: FileDescriptor, _ path: String, _ report: inout UnpackReport)
        throws
    {
        for name in try TreePacker.names(in: directory) {
            var status = stat()
            guard fstatat(directory.rawValue, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
            report.entries += 1
            switch status.st_mode & S_IFMT {
            case S_IFDIR:
                let next = openat(directory.rawValue, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                if next < 0 { throw SystemError("openat", "look into \(path)/\(name)") }
                try clean(FileDescriptor(owning: next), "\(path)/\(name)", &report)
            case S_IFCHR, S_IFBLK, S_IFSOCK:
                if unlinkat(directory.rawValue, name, 0) != 0 {
                    throw SystemError("unlinkat", "remove \(path)/\(name)")
                }
                report.note("\(path)/\(name): a device or socket, not made")
            case S_IFREG: report.bytes += UInt64(max(0, status.st_size))
            default: break
            }
        }
    }

    private static func lastLine(_ words: String, _ status: ExitStatus) -> String {
        words.split(separator: "\n").last.map(String.init) ?? "unsquashfs \(status)"
    }
}
