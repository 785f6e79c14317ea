/// The version of all programs of this build.
public enum ApusVersion {
    /// Major, minor, patch.
    public static let current = "0.1.0"
}
