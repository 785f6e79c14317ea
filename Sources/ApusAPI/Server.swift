/// The daemon, as `GET /1.0` shows it.
public struct Server: Codable, Sendable, Equatable {
    /// The daemon's own keys.
    @Defaulted public var config: ConfigMap
    /// What this daemon can beyond LXD 2.0.
    @Defaulted public var apiExtensions: [String]
    /// "stable".
    @Defaulted public var apiStatus: String
    /// "1.0".
    @Defaulted public var apiVersion: String
    /// "trusted" or "untrusted".
    @Defaulted public var auth: String
    /// Whether it serves images to everyone.
    @Defaulted public var `public`: Bool
    /// How clients can become trusted.
    @Defaulted public var authMethods: [String]
    /// What it runs on; untrusted clients do not see it.
    public var environment: ServerEnvironment?

    enum CodingKeys: String, CodingKey {
        case config, auth, environment
        case `public` = "public"
        case apiExtensions = "api_extensions"
        case apiStatus = "api_status"
        case apiVersion = "api_version"
        case authMethods = "auth_methods"
    }

    /// An empty server.
    public init() {
        apiStatus = "stable"
        apiVersion = "1.0"
    }
}

/// The daemon, as `GET /1.0` shows it to those it does not trust.
public struct UntrustedServer: Codable, Sendable, Equatable {
    /// What this daemon can beyond LXD 2.0.
    @Defaulted public var apiExtensions: [String]
    /// "stable".
    @Defaulted public var apiStatus: String
    /// "1.0".
    @Defaulted public var apiVersion: String
    /// "untrusted".
    @Defaulted public var auth: String
    /// Whether it serves images to everyone.
    @Defaulted public var `public`: Bool
    /// How clients can become trusted.
    @Defaulted public var authMethods: [String]

    enum CodingKeys: String, CodingKey {
        case auth
        case `public` = "public"
        case apiExtensions = "api_extensions"
        case apiStatus = "api_status"
        case apiVersion = "api_version"
        case authMethods = "auth_methods"
    }

    /// What a stranger may know of a server.
    public init(_ server: Server) {
        apiExtensions = server.apiExtensions
        apiStatus = server.apiStatus
        apiVersion = server.apiVersion
        auth = "untrusted"
        self.public = server.public
        authMethods = server.authMethods
    }
}

/// What the daemon runs on.
public struct ServerEnvironment: Codable, Sendable, Equatable {
    /// Where it listens.
    @Defaulted public var addresses: [String]
    /// Architectures that containers can have.
    @Defaulted public var architectures: [String]
    /// The daemon's certificate.
    @Defaulted public var certificate: String
    /// Its SHA-256.
    @Defaulted public var certificateFingerprint: String
    /// What runs containers: "apus-runtime".
    @Defaulted public var driver: String
    /// Its version.
    @Defaulted public var driverVersion: String
    /// "none" until there are networks.
    @Defaulted public var firewall: String
    /// "Linux".
    @Defaulted public var kernel: String
    /// As `uname -m` says.
    @Defaulted public var kernelArchitecture: String
    /// What the kernel has, "true" or "false".
    @Defaulted public var kernelFeatures: [String: String]
    /// As `uname -r` says.
    @Defaulted public var kernelVersion: String
    /// Kept for LXD's clients.
    @Defaulted public var lxcFeatures: [String: String]
    /// The distribution's name.
    @Defaulted public var osName: String
    /// The distribution's version.
    @Defaulted public var osVersion: String
    /// Always "default".
    @Defaulted public var project: String
    /// "apus".
    @Defaulted public var server: String
    /// Always false.
    @Defaulted public var serverClustered: Bool
    /// The host's name.
    @Defaulted public var serverName: String
    /// The daemon's process id.
    @Defaulted public var serverPid: Int64
    /// Apus' version.
    @Defaulted public var serverVersion: String
    /// Pool drivers in use, " | " between them.
    @Defaulted public var storage: String
    /// Their versions.
    @Defaulted public var storageVersion: String
    /// Pool drivers that could be used.
    @Defaulted public var storageSupportedDrivers: [StorageDriverInfo]
    /// CRIU's version; empty if there is none that works.
    @Defaulted public var apusCriuVersion: String
    /// "v1", "hybrid" or "v2".
    @Defaulted public var apusCgroupLayout: String

    enum CodingKeys: String, CodingKey {
        case addresses, architectures, certificate, driver, firewall, kernel, project, server, storage
        case certificateFingerprint = "certificate_fingerprint"
        case driverVersion = "driver_version"
        case kernelArchitecture = "kernel_architecture"
        case kernelFeatures = "kernel_features"
        case kernelVersion = "kernel_version"
        case lxcFeatures = "lxc_features"
        case osName = "os_name"
        case osVersion = "os_version"
        case serverClustered = "server_clustered"
        case serverName = "server_name"
        case serverPid = "server_pid"
        case serverVersion = "server_version"
        case storageVersion = "storage_version"
        case storageSupportedDrivers = "storage_supported_drivers"
        case apusCriuVersion = "apus_criu_version"
        case apusCgroupLayout = "apus_cgroup_layout"
    }

    /// An empty environment.
    public init() {}
}

/// A pool driver that the daemon has.
public struct StorageDriverInfo: Codable, Sendable, Equatable {
    /// Its name.
    @Defaulted public var name: String
    /// Its version.
    @Defaulted public var version: String
    /// Whether it keeps files elsewhere.
    @Defaulted public var remote: Bool

    enum CodingKeys: String, CodingKey {
        case name = "Name"
        case version = "Version"
        case remote = "Remote"
    }

    /// A driver.
    public init(name: String, version: String) {
        self.name = name
        self.version = version
    }
}
