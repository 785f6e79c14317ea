/// Copies between pools, whatever their drivers.
public enum VolumeTransfer {
    /// Copies everything in a directory into another, empty one: owners, times, attributes, hard links and holes too.
    public static func copy(_ source: String, to target: String) async throws {
        _ = try await Blocking.run { try TreeCopier.copy(source, to: target) }
    }
}
