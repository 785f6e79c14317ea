import Glibc

/// The architectures of images, by the kernel's names and by Debian's.
public enum ImageArchitecture {
    private static let debianNames = [
        "x86_64": "amd64", "i686": "i386", "aarch64": "arm64", "armv7l": "armhf", "ppc64le": "ppc64el",
    ]

    /// This machine's, as the kernel calls it.
    public static let current: String = {
        var names = utsname()
        uname(&names)
        return withUnsafeBytes(of: names.machine) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }()

    /// This machine's, as Debian calls it.
    public static var debian: String { debianNames[current] ?? current }

    /// The kernel's name of an architecture that may be given by Debian's.
    public static func kernelName(of name: String) -> String {
        debianNames.first { $0.value == name }?.key ?? name
    }

    /// Whether this machine runs programs of an architecture.
    public static func isSupported(_ name: String) -> Bool {
        var names = [current, debian]
        if current == "x86_64" { names += ["i686", "i386"] }
        if current == "aarch64" { names += ["armv7l", "armhf"] }
        return names.contains(name)
    }
}
