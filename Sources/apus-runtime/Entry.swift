import ContainerRuntime
import FoundationEssentials
import Glibc
import LinuxSystem

/// `apus-runtime`: one process per running container. See `usage`.
@main
struct Main {
    private static let usage = """
        apus-runtime start   --spec FILE [--status-fd N]
        apus-runtime restore --spec FILE [--options FILE] [--status-fd N]
        apus-runtime monitor N NAME DIR    (executed by the two above: N is the descriptor of its plan)
        apus-runtime files   …             (executed by apusd: reads and writes files inside a container)
        apus-runtime disk    …             (executed by apusd: shows a disk in a running container)
        apus-runtime relay   N …           (executed by rsync in place of a remote shell: descriptor N leads there)

        Starts or restores the container that FILE describes and stays beside it until its init ends. apusd starts
        it; by hand it is of use for debugging only.

        """

    static func main() {
        var arguments = CommandLine.arguments.dropFirst()
        let verb = arguments.popFirst() ?? ""
        var report = FailureReport()
        do {
            switch verb {
            case "monitor":
                guard let number = arguments.first.flatMap({ Int32($0) }) else { throw Usage() }
                try Monitor.run(planDescriptor: number)
            case "start":
                let options = try options(Array(arguments))
                report.channel = options.channel
                let spec = try options.spec()
                if spec.isPrivileged, !OwnProgram.isReadOnly, Environment.value(again) == nil {
                    try executeAgain(options)
                }
                try ContainerStart(spec).run(channel: options.channel)
            case "restore":
                let options = try options(Array(arguments))
                report.channel = options.channel
                try HeldContainer(try options.spec(), try options.restore()).run(channel: options.channel)
            case "disk": exit(DiskAgent.run(Array(arguments)))
            case "relay":
                guard let number = arguments.first.flatMap({ Int32($0) }) else { throw Usage() }
                try DescriptorRelay.run(input: 0, output: 1, socket: number)
            case "files": try FileAgent.run(Array(arguments))
            default: throw Usage()
            }
        } catch is Usage {
            _ = try? FileDescriptor(owning: 2).write(usage)
            exit(64)
        } catch {
            report.tell(error)
            exit(1)
        }
    }

    private struct Usage: Error {}

    /// Set where this program has executed itself: once is enough, also where there is no read-only view.
    private static let again = "APUS_RUNTIME_AGAIN"

    /// The container's init, if privileged, must not get at this program's file.
    private static func executeAgain(_ options: Options) throws {
        try options.channel?.setInheritable(true)
        let environment = Environment.all.merging([again: "1"]) { $1 }
        try OwnProgram.execute(CommandLine.arguments, environment.map { "\($0.key)=\($0.value)" })
    }

    /// What stands on the command line after the verb.
    private struct Options {
        var specFile = ""
        var optionsFile = ""
        var channel: FileDescriptor?

        func spec() throws -> ContainerSpec {
            try JSONDecoder().decode(ContainerSpec.self, from: Data(try Files.bytes(specFile)))
        }

        /// What to restore; nil: that is told through the channel.
        func restore() throws -> RestoreOptions? {
            guard !optionsFile.isEmpty else { return nil }
            return try JSONDecoder().decode(RestoreOptions.self, from: Data(try Files.bytes(optionsFile)))
        }
    }

    private static func options(_ arguments: [String]) throws -> Options {
        var result = Options()
        var rest = arguments[...]
        while let flag = rest.popFirst() {
            guard let value = rest.popFirst() else { throw Usage() }
            switch flag {
            case "--spec": result.specFile = value
            case "--options": result.optionsFile = value
            case "--status-fd":
                guard let number = Int32(value) else { throw Usage() }
                _ = fcntl(number, F_SETFD, FD_CLOEXEC)
                result.channel = FileDescriptor(owning: number)
            default: throw Usage()
            }
        }
        guard !result.specFile.isEmpty else { throw Usage() }
        return result
    }
}
