package import ArgumentParser
import ApusAPI
import ApusClient

/// `apus info`
package struct Info: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Show what a container is and uses, or what the daemon is.",
        discussion: """
            EXAMPLES:
              apus info
              apus info --resources
              apus info c1
              apus info c1 --show-log
            """)

    @Argument(
        help: ArgumentHelp("The container; the daemon itself if it is left out.", valueName: "container"),
        completion: .containers)
    package var container: String?

    @Flag(
        name: .long,
        help: "Show the last log as well: of the last dump or restore, or of the container's runtime.")
    package var showLog = false

    @Flag(name: .long, help: "Show the processors and the memory of the daemon's machine instead.")
    package var resources = false

    @OptionGroup package var global: GlobalOptions

    package init() {}

    package func run() async throws {
        let session = try global.session(of: container)
        guard let container, !ResourceName(container).name.isEmpty else {
            if showLog { throw Failure("--show-log needs a container") }
            if resources {
                session.output.write(ResourcesReport(try await session.client.resources()).text)
                return
            }
            session.output.write(try Rendering.yaml(try await session.client.server()))
            return
        }
        guard !resources else {
            throw Failure("--resources is about the daemon's machine; leave the container out")
        }
        let name = try ContainerName(container).name
        let instance = try await session.client.instance(name, full: true)
        session.output.write(InstanceReport(instance).text)
        if showLog { try await show(logOf: name, session) }
    }

    private func show(logOf name: String, _ session: Session) async throws {
        let files = try await session.client.logs(of: name)
        guard let file = Self.mostTelling(files) else {
            session.output.print("\nLog:\n\n(there is none yet)")
            return
        }
        session.output.print("\nLog (\(file)):\n")
        let text = try await session.client.log(file, of: name)
        session.output.write(text.hasSuffix("\n") || text.isEmpty ? text : text + "\n")
    }

    /// The newest log of CRIU if there is one, else the runtime's.
    package static func mostTelling(_ files: [String]) -> String? {
        // Their names end in the time they were made, so the last in order of that part is the newest.
        func time(_ name: String) -> String {
            String(name.drop { !$0.isNumber })
        }
        let dumps = files.filter { $0.hasPrefix("criu-") }
        return dumps.max { time($0) < time($1) } ?? files.first { $0 == "runtime.log" }
            ?? files.sorted().first
    }
}
