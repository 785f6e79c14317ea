import CLinux
import Glibc
import LinuxSystem

extension SeccompProfile {
    /// A system call to be tried under the filter.
    package struct Attempt: Sendable {
        var call: String
        var arguments: [UInt]

        /// A call by name, with up to three arguments.
        package init(_ call: String, _ arguments: [UInt]) {
            self.call = call
            self.arguments = arguments
        }
    }

    /// Makes the calls in a child under this filter: 0 or the errno of each. Needs root.
    package func probe(_ attempts: [Attempt]) throws -> [Int32] {
        let program = try program()
        var calls = attempts.map { attempt in
            let given = attempt.arguments + [0, 0, 0]
            return apus_call(
                number: Int(SeccompProfile.number(attempt.call) ?? -1),
                arguments: (given[0], given[1], given[2]),
                error: 0)
        }
        try check("seccomp", "try a seccomp filter") {
            apus_seccomp_probe(program, program.count, &calls, calls.count)
        }
        return calls.map(\.error)
    }
}
