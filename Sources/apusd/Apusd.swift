import ApusAPI
import ApusCore
import ApusServer
import ArgumentParser
import Glibc
import LinuxSystem
import Logging

/// The daemon: serves the REST API and looks after the containers.
@main
struct Apusd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apusd",
        abstract: "The daemon of Apus: system containers that can be checkpointed and restored.",
        discussion: """
            It runs in the foreground, logs to standard error, and keeps everything below the directory that the \
            environment variable APUS_DIR names (/var/lib/apus if it is not set). Clients connect to \
            $APUS_DIR/unix.socket. When it ends by SIGTERM or SIGINT, containers run on; "apus admin shutdown" stops \
            them as well.

            EXAMPLES
              apusd                                  the daemon of this machine
              APUS_DIR=/tmp/mine apusd --debug       another one beside it, with its own containers
              apusd --group adm                      members of the group adm may use it
            """,
        version: ApusVersion.current)

    @Option(help: "The group whose members may connect to the socket.")
    var group = "apus"

    @Flag(help: "Log what is of use to developers.")
    var debug = false

    mutating func validate() throws {
        guard geteuid() == 0 else {
            throw ValidationError("apusd makes containers and has to be started by root.")
        }
        guard !Environment.directory.isEmpty, Environment.directory.hasPrefix("/") else {
            throw ValidationError("APUS_DIR must be an absolute path.")
        }
    }

    mutating func run() async throws {
        Heap.staySmall()
        // A client that goes away must not end the daemon.
        signal(SIGPIPE, SIG_IGN)
        umask(0o022)
        let events = EventHub()
        let level: Logger.Level = debug ? .debug : .info
        LoggingSystem.bootstrap { label in
            var handler = DaemonLog(label: label, events: events)
            handler.logLevel = level
            return handler
        }
        let logger = Logger(label: "apusd")
        do {
            let daemon = try Daemon(
                DaemonConfiguration(directory: Environment.directory, runtime: Environment.runtime),
                events: events, logger: logger)
            try await serve(daemon, logger)
        } catch {
            logger.critical("\(error)")
            throw ExitCode.failure
        }
    }

    private func serve(_ daemon: Daemon, _ logger: Logger) async throws {
        let signals = TerminationSignals()
        let server = APIServer(daemon: daemon, group: group, logger: logger)
        await daemon.recover()
        let serving = Task {
            try await server.run {
                logger.info(
                    "ready",
                    metadata: ["version": "\(ApusVersion.current)", "directory": "\(daemon.directory.path)"])
                Readiness.tell("READY=1")
                ProgramText.release()
            }
        }
        let (reasons, tell) = AsyncStream.makeStream(of: EndReason.self)
        Task { tell.yield(await signals.wait()) }
        Task { tell.yield(await daemon.shutdownAsked()) }
        Task { tell.yield(await serving.failed()) }
        var reason = EndReason.signal
        for await first in reasons {
            reason = first
            break
        }
        switch reason {
        case .failure(let error):
            throw error
        case .shutdown:
            logger.info("shutting down: containers are stopped")
            Readiness.tell("STOPPING=1")
            await daemon.drain(timeout: .seconds(10))
            await daemon.stopContainers()
        case .signal:
            logger.info("ending; containers run on")
            Readiness.tell("STOPPING=1")
            await daemon.drain(timeout: .seconds(10))
        }
        unlink(daemon.directory.socket)
        await daemon.releaseHost()
        logger.info("ended")
        // Tasks that still wait for containers or clients have nothing left to do.
        Glibc.exit(0)
    }
}

/// Why the daemon ends.
enum EndReason: Sendable {
    case signal
    case shutdown
    case failure(any Error)
}

extension Daemon {
    fileprivate func shutdownAsked() async -> EndReason {
        await waitForShutdown()
        return .shutdown
    }
}

extension Task where Success == Void, Failure == any Error {
    /// Waits for a task that is not meant to end.
    fileprivate func failed() async -> EndReason {
        do {
            try await value
            return .signal
        } catch {
            return .failure(error)
        }
    }
}

/// What the environment says.
enum Environment {
    /// APUS_DIR.
    static var directory: String { variable("APUS_DIR") ?? "/var/lib/apus" }

    /// `apus-runtime`: beside this program, or where APUS_RUNTIME says.
    static var runtime: String {
        if let given = variable("APUS_RUNTIME") { return given }
        let own = (try? Files.readLink("/proc/self/exe")) ?? "/usr/bin/apusd"
        return (own.lastIndex(of: "/").map { String(own[..<$0]) } ?? "") + "/apus-runtime"
    }

    static func variable(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }
}
