/// Why a command cannot do what was asked; one sentence for people.
package struct Failure: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
