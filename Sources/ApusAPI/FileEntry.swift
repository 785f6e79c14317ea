/// Names of the headers that carry a file's properties in `/1.0/instances/<name>/files`.
public enum FileHeader {
    /// "file", "directory" or "symlink".
    public static let type = "X-LXD-type"
    /// Owner inside the container.
    public static let uid = "X-LXD-uid"
    /// Group inside the container.
    public static let gid = "X-LXD-gid"
    /// Permissions, in octal.
    public static let mode = "X-LXD-mode"
    /// "overwrite" or "append".
    public static let write = "X-LXD-write"
    /// When the file last changed.
    public static let modified = "X-LXD-modified"
}

/// Names of the headers of an image upload.
public enum ImageHeader {
    /// The file's name.
    public static let filename = "X-LXD-filename"
    /// Properties, URL-encoded.
    public static let properties = "X-LXD-properties"
    /// "true" to let everyone have it.
    public static let isPublic = "X-LXD-public"
    /// The fingerprint that the sender expects.
    public static let fingerprint = "X-LXD-fingerprint"
    /// With a list of a server's images: certificates in PEM that it is trusted by, URL-encoded.
    public static let certificate = "X-Apus-certificate"
}
