import Glibc
import LinuxSystem

/// Everything the monitor has to know. It is handed over the execution of the new program in a memory file,
/// so that the monitor needs neither JSON nor any other file.
package struct MonitorPlan: Equatable {
    package var name = ""
    package var runtimeDirectory = ""
    package var statusFile = ""
    package var cgroupName = ""
    package var hierarchies: [String] = []
    /// The unified one of them.
    package var unified = ""
    package var initPID: Int32 = 0
    package var initStartTicks: UInt64 = 0
    package var startedAt: Int64 = 0
    package var initKind = InitKind.other
    package var privileged = false
    package var environment: [String] = []
    /// Limits of executed programs.
    package var kernelLimits: [KernelLimit] = []
    package var consoleLog = ""
    /// Whether this is a life that goes on, not a new one.
    package var isRestored = false
    /// What is below is set where the new program is executed: numbers of inherited descriptors, -1 for none.
    package var listener: Int32 = -1
    package var console: Int32 = -1
    package var channel: Int32 = -1
    /// Sockets, and what is to be sent through them a few times more.
    package var announcements: [Announcement] = []
    /// The process that brings the memory of a restored container; 0 for none.
    package var memoryPID: Int32 = 0
    /// What holds processes back that miss a page of it.
    package var memoryHolds: [Int32] = []
    /// The seccomp filter for executed programs.
    package var seccomp: [UInt8] = []

    /// What is to be sent through a socket.
    package struct Announcement: Equatable {
        package init(socket: Int32, frames: [[UInt8]]) {
            self.socket = socket
            self.frames = frames
        }
        package var socket: Int32
        package var frames: [[UInt8]]
    }

    package func encoded() -> [UInt8] {
        var out = WireWriter()
        for text in [name, runtimeDirectory, statusFile, cgroupName, consoleLog, initKind.rawValue] {
            out.text(text)
        }
        out.list(hierarchies) { $0.text($1) }
        out.text(unified)
        out.list(environment) { $0.text($1) }
        out.list(kernelLimits) {
            $0.text($1.name)
            $0.text($1.text)
        }
        for number in [initPID, listener, console, channel] { out.int32(number) }
        out.uint64(initStartTicks)
        out.int64(startedAt)
        out.flag(privileged)
        out.flag(isRestored)
        out.data(seccomp)
        out.list(announcements) { out, each in
            out.int32(each.socket)
            out.list(each.frames) { $0.data($1) }
        }
        out.int32(memoryPID)
        out.list(memoryHolds) { $0.int32($1) }
        return out.bytes
    }

    package init() {}

    package init(decoding bytes: [UInt8]) throws {
        var input = WireReader(bytes)
        name = try input.text()
        runtimeDirectory = try input.text()
        statusFile = try input.text()
        cgroupName = try input.text()
        consoleLog = try input.text()
        initKind = InitKind(rawValue: try input.text()) ?? .other
        hierarchies = try input.list { try $0.text() }
        unified = try input.text()
        environment = try input.list { try $0.text() }
        kernelLimits = try input.list { KernelLimit(name: try $0.text(), try $0.text()) }.compactMap { $0 }
        initPID = try input.int32()
        listener = try input.int32()
        console = try input.int32()
        channel = try input.int32()
        initStartTicks = try input.uint64()
        startedAt = try input.int64()
        privileged = try input.flag()
        isRestored = try input.flag()
        seccomp = try input.data()
        announcements = try input.list {
            Announcement(socket: try $0.int32(), frames: try $0.list { try $0.data() })
        }
        memoryPID = try input.int32()
        memoryHolds = try input.list { try $0.int32() }
        try input.end()
    }

    /// The plan for a container that has just been started or restored.
    init(spec: ContainerSpec, layout: CgroupLayout, initPID: Int32, initKind: InitKind, seccomp: [UInt8])
        throws
    {
        name = spec.name
        runtimeDirectory = spec.runtimeDirectory
        statusFile = spec.statusFile
        cgroupName = spec.cgroup
        hierarchies = layout.hierarchies.map(\.path)
        unified = layout.unified?.path ?? ""
        self.initPID = initPID
        initStartTicks = try ProcessStatus(pid: initPID).startTicks
        startedAt = Int64(time(nil))
        self.initKind = initKind
        privileged = spec.isPrivileged
        environment = ContainerEnvironment.forPrograms(spec)
        kernelLimits = spec.kernelLimits
        consoleLog = spec.console ? spec.consoleLog ?? "" : ""
        self.seccomp = seccomp
    }

    /// Executes this program anew as the monitor; process number, children and the given descriptors stay.
    /// What starting or restoring has loaded and touched is gone with that.
    func become(
        listener: FileDescriptor, console: FileDescriptor?, channel: FileDescriptor?,
        announcement: AddressAnnouncement? = nil, memory: LazyMemory? = nil
    ) throws -> Never {
        var plan = self
        plan.listener = listener.rawValue
        plan.console = console?.rawValue ?? -1
        plan.channel = channel?.rawValue ?? -1
        let entries = announcement?.entries ?? []
        plan.announcements = entries.map { Announcement(socket: $0.socket.rawValue, frames: $0.frames) }
        plan.memoryPID = memory?.pid ?? 0
        let holds = memory?.holds ?? []
        plan.memoryHolds = holds.map(\.rawValue)
        let file = try FileDescriptor.memory(named: "apus-plan")
        try file.write(plan.encoded())
        for descriptor in [listener, console, channel, file] + entries.map(\.socket) + holds {
            try descriptor?.setInheritable(true)
        }
        try OwnProgram.execute(
            // The directory is there for those who look at /proc.
            ["apus-runtime", "monitor", "\(file.rawValue)", name, runtimeDirectory],
            ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
    }
}

/// Environments of a container's programs.
package enum ContainerEnvironment {
    private static let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// What init gets.
    package static func forInit(_ spec: ContainerSpec) -> [String] {
        var all = ["PATH": path, "TERM": "linux", "container": "lxc"]
        all.merge(spec.environment) { $1 }
        if !spec.nesting { all.merge(SystemdSettings.environment) { $1 } }
        return all.map { "\($0.key)=\($0.value)" }.sorted()
    }

    /// What programs that `exec` brings in get, unless the request says otherwise.
    package static func forPrograms(_ spec: ContainerSpec) -> [String] {
        var all = ["PATH": path, "LANG": "C.UTF-8", "container": "lxc"]
        all.merge(spec.environment) { $1 }
        return all.map { "\($0.key)=\($0.value)" }.sorted()
    }
}
