import CStorage

/// The records a tree is sent as. Entries are named below the directory that was entered last; a directory's own
/// attributes come when all that is made in it has been.
enum TreeRecord: UInt8 {
    /// The beginning: the format's version, the pass.
    case begin = 1
    /// Enter a directory: its path below the volume's root.
    case enter
    /// Make a directory: name. One that is there already is fine.
    case directory
    /// The attributes of the directory that was entered.
    case attributes
    /// A new file, in the place of whatever has the name: name, attributes, content.
    case file
    /// The file of that name has changed: name, attributes, content (only the pieces that differ).
    case update
    /// A symlink: name, attributes, target.
    case symlink
    /// A fifo, socket or device: name, attributes, device number.
    case special
    /// Another name of a file that was sent before: name, that one's path below the root.
    case link
    /// The name is gone: name.
    case remove
    /// All is said.
    case end
}

/// The pieces of a file's content.
enum ContentPiece: UInt8 {
    /// No more: the size of the file.
    case end = 0
    /// Data: offset (8 bytes), count (4 bytes), both little-endian, and the bytes.
    case data = 1
    /// Zeros that take no room: offset, count.
    case hole = 2

    /// The bytes before data: the kind, the offset, the count.
    static let headSize = 13
}

/// What the receiver says.
enum TreeReply: UInt8 {
    /// All of the pass is in the volume.
    case done = 1
    /// It could not be: the reason.
    case failed = 2
    /// Before the first pass: what is here already (`TreeIndex`).
    case index = 3
    /// Before the first pass: there is nothing here.
    case nothing = 4
}

enum TreeFormat {
    /// Raised with every change of the records.
    static let version: UInt64 = 1
    /// The longest path; deeper trees are refused.
    static let longestPath = 256 << 10
    /// The longest name of an entry.
    static let longestName = 255
    /// The longest extended attribute the kernel has.
    static let longestAttribute = 64 << 10
    /// The longest piece of content.
    static let longestPiece: UInt32 = 1 << 20
    /// The longest message.
    static let longestMessage = 4096
    /// Never sent: labels are the host's own.
    static let ownAttributes: Set<String> = [
        "security.selinux", "security.apparmor", "security.ima", "security.evm",
    ]
}
