internal import Glibc
internal import LinuxSystem

/// Puts a task right that a dying CRIU has let go of: frozen, perhaps with CRIU's code in it.
struct TaskMending {
    enum Result: Hashable {
        case unharmed
        case mended
        case harmed(String)
    }

    let task: HeldTask
    let isInit: Bool
    /// Threads that a trap of CRIU's is delivered to.
    let doomed: Set<pid_t>
    let memory: CRIUMemory

    func run() -> Result {
        // The first of a process namespace is spared what it has no handler for.
        if !isInit, task.threads.contains(where: doomed.contains) {
            return .harmed("CRIU's code was just running in it")
        }
        let mappings = MemoryMapping.parse((try? Files.text("/proc/\(task.pid)/maps", limit: 64 << 20)) ?? "")
        var result = Result.unharmed
        for thread in task.threads {
            switch mend(thread, mappings) {
            case .unharmed: break
            case .mended: result = .mended
            case .harmed(let reason): return .harmed(reason)
            }
        }
        if restoreCode(mappings), result == .unharmed { result = .mended }
        return result
    }

    private func mend(_ number: pid_t, _ mappings: [MemoryMapping]) -> Result {
        guard let thread = try? TracedThread(seizing: number), thread.stop() else {
            return .harmed("it ended together with CRIU")
        }
        defer { thread.detach() }
        thread.clearBreakpoints()
        guard let bytes = thread.registers(), let mask = thread.signalMask() else {
            return .harmed("its registers cannot be read")
        }
        guard let now = Registers(bytes) else {
            // Not one of 64 bits; what it does then cannot be told but by the signals it holds back.
            return mask == Self.maskOfParasite ? .harmed("CRIU's code was in it") : .unharmed
        }
        let isInParasite = mappings.contains { $0.isParasite && $0.holds(now[Registers.instruction]) }
        // In the first thread CRIU's code listens to CRIU; left alone it gives the thread back by itself.
        if isInParasite, number == task.pid { return .mended }
        guard let former = memory.context(of: number, now) else {
            let isInjected =
                mask == Self.maskOfParasite
                || mappings.contains {
                    isOverwritten($0) && $0.start + 16 > now[Registers.instruction]
                        && $0.start <= now[Registers.instruction]
                }
            return isInParasite || isInjected
                ? .harmed("CRIU's code was in it, and what it was doing before is lost") : .unharmed
        }
        guard former.registers != bytes || former.signalMask != mask else { return .unharmed }
        guard thread.setRegisters(former.registers), thread.setSignalMask(former.signalMask) else {
            return .harmed("its registers cannot be given back")
        }
        if isInParasite { restoreExtended(thread, former) }
        return .mended
    }

    /// What CRIU has its code run with: everything held back but SIGTRAP and what cannot be.
    private static let maskOfParasite = ~(UInt64(1) << 4 | UInt64(1) << 8 | UInt64(1) << 18)

    /// The registers of floating point and vectors, which CRIU keeps for threads.
    private func restoreExtended(_ thread: TracedThread, _ former: CRIUMemory.Context) {
        guard let now = thread.registers(extended: true), former.extended.count >= now.count, now.count >= 576
        else { return }
        // The header tells which parts are in use; the bytes behind its first 16 are zero.
        let header = former.extended[512..<576]
        guard header.prefix(8).contains(where: { $0 != 0 }), header.dropFirst(16).allSatisfy({ $0 == 0 })
        else {
            return
        }
        _ = thread.setRegisters(Array(former.extended.prefix(now.count)), extended: true)
    }

    // MARK: Code

    /// A system call and traps, which CRIU writes over the first code of a task: of 64 and of 32 bits.
    private static let injected: [[UInt8]] = [[0x0f, 0x05], [0xcd, 0x80]].map {
        $0 + Array(repeating: 0xcc, count: 6)
    }
    /// The name it writes behind that.
    private static let memoryName = Array("CRIUMFD\0".utf8)

    private func isOverwritten(_ mapping: MemoryMapping) -> Bool {
        guard mapping.permissions.contains("x"),
            let code = code(mapping, in: "/proc/\(task.pid)/mem", mapping.start)
        else { return false }
        return Self.injected.contains(Array(code.prefix(8))) || Array(code.suffix(8)) == Self.memoryName
    }

    /// Gives the task back the code that CRIU has overwritten; whether there was any.
    private func restoreCode(_ mappings: [MemoryMapping]) -> Bool {
        var isRestored = false
        for mapping in mappings where !mapping.path.isEmpty && isOverwritten(mapping) {
            let file = "/proc/\(task.pid)/map_files/\(mapping.name)"
            guard let code = code(mapping, in: file, mapping.offset),
                let memory = try? FileDescriptor.open("/proc/\(task.pid)/mem", O_RDWR),
                pwrite(memory.rawValue, code, code.count, off_t(truncatingIfNeeded: mapping.start))
                    == code.count
            else { continue }
            isRestored = true
        }
        return isRestored
    }

    /// The first 16 bytes of a mapping.
    private func code(_ mapping: MemoryMapping, in path: String, _ offset: UInt64) -> [UInt8]? {
        guard let file = try? FileDescriptor.open(path, O_RDONLY) else { return nil }
        var bytes = [UInt8](repeating: 0, count: 16)
        return pread(file.rawValue, &bytes, 16, off_t(truncatingIfNeeded: offset)) == 16 ? bytes : nil
    }
}

extension MemoryMapping {
    /// Whether it is where CRIU puts its own code.
    var isParasite: Bool { path.hasPrefix("/memfd:CRIUMFD") }
    /// As `/proc/<pid>/map_files` names it.
    var name: String { "\(String(start, radix: 16))-\(String(end, radix: 16))" }
    /// Whether an address is in it.
    func holds(_ address: UInt64) -> Bool { start <= address && address < end }
}
