/// A version of CRIU, such as 4.2.1.
public struct CRIUVersion: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// The first number.
    public let major: Int
    /// The second number.
    public let minor: Int
    /// The third number, 0 when CRIU gives none.
    public let patch: Int

    /// Makes a version from its numbers.
    public init(major: Int, minor: Int, patch: Int = 0) {
        self.major = major
        self.minor = minor
        self.patch = patch
    }

    /// The version as CRIU prints it.
    public var description: String { patch == 0 ? "\(major).\(minor)" : "\(major).\(minor).\(patch)" }

    /// Orders versions by major, minor and patch number.
    public static func < (left: CRIUVersion, right: CRIUVersion) -> Bool {
        (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
    }
}

/// What the installed CRIU and the running kernel can do together.
public struct CRIUFeatures: Sendable, Hashable, Codable {
    /// Memory changes can be tracked, so that memory can be copied in rounds while tasks run.
    public let memoryTracking: Bool
    /// Memory can be sent after the restore, page by page.
    public let lazyPages: Bool
    /// Process descriptors can be kept, so that reused process numbers are noticed.
    public let pidfdStore: Bool

    /// Makes a feature set.
    public init(memoryTracking: Bool, lazyPages: Bool, pidfdStore: Bool) {
        self.memoryTracking = memoryTracking
        self.lazyPages = lazyPages
        self.pidfdStore = pidfdStore
    }
}
