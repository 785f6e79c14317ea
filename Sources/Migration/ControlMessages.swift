package import SwiftProtobuf

/// The first message of either side: what LXD calls the migration header.
package typealias MigrationHeader = Migration_MigrationHeader
/// What a source that is an Apus daemon says of the container and itself.
package typealias MoveOffer = Migration_ApusOffer
/// What a sink that is an Apus daemon answers.
package typealias MoveAnswer = Migration_ApusAnswer
/// What two Apus daemons say to each other on the control socket.
package typealias MoveMessage = Migration_ApusMessage.OneOf_Kind
/// LXD's last word: whether it worked.
package typealias MigrationControl = Migration_MigrationControl

/// Messages of the control socket as bytes: one message each.
package enum ControlMessages {
    /// The version of what two Apus daemons say to each other. Another one is refused.
    package static let version: UInt32 = 3

    /// The largest message that is taken, in bytes. A header names every snapshot; chunks are cut smaller.
    package static let limit = 16 << 20

    /// The largest part of a file in one message, in bytes.
    package static let chunk = 256 << 10

    /// A message as bytes.
    package static func encode(_ message: some SwiftProtobuf.Message) throws -> [UInt8] {
        try message.serializedBytes()
    }

    /// A message between two Apus daemons as bytes.
    package static func encode(_ message: MoveMessage) throws -> [UInt8] {
        var envelope = Migration_ApusMessage()
        envelope.kind = message
        return try encode(envelope)
    }

    /// LXD's last word as bytes.
    package static func encode(success: Bool, _ reason: String = "") throws -> [UInt8] {
        var control = MigrationControl()
        control.success = success
        control.message = reason
        return try encode(control)
    }

    /// Reads a message.
    /// - Throws: `MigrationError` if the bytes are none.
    package static func decode<Kind: SwiftProtobuf.Message>(_ kind: Kind.Type, _ bytes: [UInt8]) throws
        -> Kind
    {
        do {
            return try Kind(serializedBytes: bytes)
        } catch {
            throw MigrationError(.protocolViolation, "the other host sent something that is no \(name(kind))")
        }
    }

    /// Reads a message between two Apus daemons.
    /// - Throws: `MigrationError` if the bytes are none.
    package static func decode(_ bytes: [UInt8]) throws -> MoveMessage {
        guard let kind = try decode(Migration_ApusMessage.self, bytes).kind else {
            throw MigrationError(
                .protocolViolation, "the other host sent a message this version does not know")
        }
        return kind
    }

    private static func name(_ kind: any SwiftProtobuf.Message.Type) -> String {
        kind.protoMessageName.split(separator: ".").last.map(String.init) ?? kind.protoMessageName
    }
}
