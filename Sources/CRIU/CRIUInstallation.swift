internal import Glibc
public import LinuxSystem

/// A CRIU on this machine, and how it is run: by its path, or from a prefix with its own dynamic linker.
public struct CRIUInstallation: Sendable, Hashable {
    /// The first arguments of every call: the program, or the dynamic linker and what it needs.
    public let command: [String]

    /// Where `scripts/criu-install` puts a CRIU of its own.
    public static let standardPrefix = "/opt/apus/criu"

    /// A CRIU that is run directly.
    public init(executable: String) {
        command = [executable]
    }

    /// A CRIU unpacked below `prefix` (`usr/sbin/criu`), run with the libraries and the linker beside it.
    public init(prefix: String) throws(CRIUError) {
        let libraries = "\(prefix)/usr/lib/\(Self.multiarchName)"
        let linker = "\(libraries)/\(Self.linkerName)"
        let program = "\(prefix)/usr/sbin/criu"
        for file in [linker, program] where access(file, X_OK) != 0 {
            throw CRIUError(.notInstalled, "no CRIU below \(prefix): \(file) is missing")
        }
        command = [linker, "--library-path", libraries, "--argv0", "criu", program]
    }

    /// Finds the CRIU to use: `APUS_CRIU` (a program), `APUS_CRIU_PREFIX` (a prefix), the standard prefix,
    /// then `criu` in PATH.
    public static func locate(
        environment: [String: String] = Environment.all
    ) throws(CRIUError) -> CRIUInstallation {
        if let program = environment["APUS_CRIU"], !program.isEmpty {
            guard access(program, X_OK) == 0 else {
                throw CRIUError(.notInstalled, "APUS_CRIU names \(program), which cannot be run")
            }
            return CRIUInstallation(executable: program)
        }
        if let prefix = environment["APUS_CRIU_PREFIX"], !prefix.isEmpty {
            return try CRIUInstallation(prefix: prefix)
        }
        if access("\(standardPrefix)/usr/sbin/criu", X_OK) == 0 {
            return try CRIUInstallation(prefix: standardPrefix)
        }
        let path = environment["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin"
        for directory in path.split(separator: ":") + ["/usr/sbin", "/sbin"] {
            let program = "\(directory)/criu"
            if access(program, X_OK) == 0 { return CRIUInstallation(executable: program) }
        }
        throw CRIUError(
            .notInstalled,
            "no CRIU found in \(standardPrefix) or PATH; run scripts/criu-install, or set APUS_CRIU")
    }

    #if arch(x86_64)
        private static let multiarchName = "x86_64-linux-gnu"
        private static let linkerName = "ld-linux-x86-64.so.2"
    #elseif arch(arm64)
        private static let multiarchName = "aarch64-linux-gnu"
        private static let linkerName = "ld-linux-aarch64.so.1"
    #else
        private static let multiarchName = "unknown-linux-gnu"
        private static let linkerName = "ld.so"
    #endif
}

extension CRIUInstallation {
    /// Asks CRIU for its version.
    public func version() throws(CRIUError) -> CRIUVersion {
        try CRIUSession(self).version()
    }

    /// Asks what CRIU and the kernel can do together.
    public func features() throws(CRIUError) -> CRIUFeatures {
        try CRIUSession(self).features()
    }

    /// Has CRIU check the kernel. Passing does not prove that sockets can be dumped: `scripts/criu-probe` does.
    public func check() throws(CRIUError) {
        try CRIUSession(self).check()
    }
}
