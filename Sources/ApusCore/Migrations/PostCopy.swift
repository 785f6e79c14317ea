import ApusAPI
import CRIU
import Checkpoint
import LinuxSystem
import Logging

extension HandOver {
    /// Serves the memory that was left behind while `body` runs, through a socket that belongs to that.
    func serving(_ socket: FileDescriptor, _ body: () async throws -> Void) async throws {
        let source = try servePages(on: socket)
        let service = Task { try await source.serve() }
        do {
            try await body()
        } catch {
            source.cancel()
            _ = await service.result
            throw error
        }
        source.cancel()
        _ = await service.result
    }
}

extension ContainerService {
    /// A container has run on the other host, and may not have got its memory.
    func tellLost(_ name: String, _ reason: String) -> ServiceError {
        logger(name).error(
            "it was lost unless all of its memory had reached the other host",
            metadata: ["reason": "\(reason)"]
        )
        return .failure(
            "\(name) went on at the other host, but not all of its memory is known to have followed: \(reason). If it is not running there, its processes are lost; its files are there"
        )
    }

    /// A container that has run here has ended, because its memory stopped coming.
    func tellLostHere(_ name: String, _ reason: String) {
        logger(name).error(
            "its processes are lost: not all of its memory came from the host it was moved from; its files are here",
            metadata: ["reason": "\(reason)"])
    }
}
