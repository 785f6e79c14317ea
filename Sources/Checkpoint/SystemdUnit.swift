/// Units of systemd, which keeps each in a control group of its name.
package enum SystemdUnit {
    /// The unit that a process belongs to: the last part that is one of its control groups' paths, one in a line.
    package static func name(inCgroups paths: String) -> String? {
        paths.split(whereSeparator: { $0 == "\n" || $0 == "/" }).last { part in
            [".service", ".scope", ".socket"].contains { part.hasSuffix($0) }
        }.map(String.init)
    }
}
