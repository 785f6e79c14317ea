// swift-tools-version: 6.1
import PackageDescription

/// House settings for every Swift target: upcoming features on, warnings are errors.
let house: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .unsafeFlags(["-warnings-as-errors"]),
]

/// Programs carry the Swift runtime in themselves, so that they run where no Swift is installed. Not done with
/// `--static-swift-stdlib`, which would compile the tests against it too, and there is no static Testing library. The
/// archives are what Foundation's static libraries need and the modules of the shared ones do not name.
/// Nothing looks up their symbols by name, and there are a hundred thousand addresses to relocate: neither is to lie
/// about in memory while a daemon rests.
let standalone: [LinkerSetting] = [
    .unsafeFlags([
        "-static-stdlib", "-lCoreFoundation", "-l_FoundationICU", "-l_FoundationCShims",
        "-l_FoundationCollections", "-lswiftSynchronization", "-lBlocksRuntime", "-lstdc++",
        "-use-ld=lld", "-Xlinker", "--no-export-dynamic", "-Xlinker", "-z", "-Xlinker",
        "pack-relative-relocs",
    ])
]

/// The client lives for milliseconds, with its caller's rights: at a fixed address it starts in three quarters of the
/// time.
let quickToStart: [LinkerSetting] = [.unsafeFlags(["-Xclang-linker", "-no-pie"])]

let asyncHTTPClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioHTTPTypesHTTP1 = Target.Dependency.product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras")
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioWebSocket = Target.Dependency.product(name: "NIOWebSocket", package: "swift-nio")
let serviceLifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let swiftProtobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let swiftASN1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
let x509 = Target.Dependency.product(name: "X509", package: "swift-certificates")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "apus",
    products: [
        .executable(name: "apus", targets: ["apus"]),
        .executable(name: "apusd", targets: ["apusd"]),
        .executable(name: "apus-runtime", targets: ["apus-runtime"]),
        .library(name: "CRIU", targets: ["CRIU"]),
        .library(name: "ApusClient", targets: ["ApusAPI", "ApusClient"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // The kernel's face.
        .target(name: "CLinux"),
        .systemLibrary(
            name: "CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
        .target(name: "LinuxSystem", dependencies: ["CLinux"], swiftSettings: house),

        // Who one is, and who others are.
        .target(
            name: "Certificates", dependencies: ["LinuxSystem", crypto, swiftASN1, x509],
            swiftSettings: house),

        // CRIU, and what starts, restores and watches one container.
        .target(
            name: "CRIU", dependencies: ["LinuxSystem", swiftProtobuf], exclude: ["README.md"],
            swiftSettings: house),
        .target(
            name: "ContainerRuntime", dependencies: ["CLinux", "LinuxSystem", "CRIU", "CSeccomp"],
            swiftSettings: house),
        .executableTarget(
            name: "apus-runtime", dependencies: ["ContainerRuntime", "LinuxSystem"], swiftSettings: house,
            linkerSettings: standalone),

        // Bridges, packet filters, DHCP and DNS.
        .target(name: "Networking", dependencies: ["CLinux", "LinuxSystem"], swiftSettings: house),

        // What the daemon keeps.
        .target(name: "CStorage"),
        .systemLibrary(name: "CArchive", pkgConfig: "libarchive", providers: [.apt(["libarchive-dev"])]),
        .target(name: "Storage", dependencies: ["LinuxSystem", "CStorage"], swiftSettings: house),
        .target(
            name: "Images",
            dependencies: [
                "Storage", "LinuxSystem", "CStorage", "CArchive", asyncHTTPClient, crypto, nioCore, nioHTTP1,
                nioSSL, yams,
            ],
            swiftSettings: house),
        .target(
            name: "Checkpoint",
            dependencies: ["CRIU", "ContainerRuntime", "LinuxSystem", crypto],
            swiftSettings: house),

        // Moving between hosts: the messages, and who decides what when.
        .target(name: "Migration", dependencies: [swiftProtobuf], swiftSettings: house),

        // REST.
        .target(name: "ApusAPI", swiftSettings: house),
        .target(
            name: "ApusCore",
            dependencies: [
                "ApusAPI", "ApusClient", "Certificates", "Checkpoint", "ContainerRuntime", "CRIU", "Images",
                "LinuxSystem", "Migration", "Networking", "Storage", crypto, cryptoExtras, grdb, logging,
                nioCore, swiftProtobuf,
            ],
            swiftSettings: house),
        .target(
            name: "ApusServer",
            dependencies: [
                "ApusAPI", "ApusClient", "ApusCore", "Certificates", "ContainerRuntime", "LinuxSystem",
                hummingbirdCore, httpTypes, logging, nioCore, nioHTTP1, nioHTTPTypes, nioHTTPTypesHTTP1,
                nioPosix, nioSSL,
                nioTLS,
                nioWebSocket, serviceLifecycle,
            ],
            swiftSettings: house),
        .executableTarget(
            name: "apusd",
            dependencies: ["ApusServer", "ApusCore", "ApusAPI", "LinuxSystem", argumentParser, logging],
            swiftSettings: house,
            linkerSettings: standalone),
        .target(
            name: "ApusClient",
            dependencies: [
                "ApusAPI", "Certificates", nioCore, nioHTTP1, nioPosix, nioSSL, nioTLS, nioWebSocket,
            ],
            swiftSettings: house),
        .target(
            name: "ApusCommands",
            dependencies: ["ApusAPI", "ApusClient", "Certificates", argumentParser, nioCore, nioHTTP1, yams],
            swiftSettings: house),
        .executableTarget(
            name: "apus", dependencies: ["ApusCommands"], swiftSettings: house,
            linkerSettings: standalone + quickToStart),

        // Measuring.
        .executableTarget(
            name: "apus-bench", dependencies: ["ApusAPI", "ApusClient", "LinuxSystem", argumentParser],
            path: "Benchmarks",
            exclude: ["RESULTS.md"], swiftSettings: house, linkerSettings: standalone),

        // Tests: one target per library, and the real programs driven as a user would.
        .testTarget(name: "LinuxSystemTests", dependencies: ["LinuxSystem"], swiftSettings: house),
        .testTarget(name: "CertificatesTests", dependencies: ["Certificates"], swiftSettings: house),
        .testTarget(name: "CRIUTests", dependencies: ["CRIU", "LinuxSystem"], swiftSettings: house),
        .testTarget(
            name: "ContainerRuntimeTests", dependencies: ["ContainerRuntime", "LinuxSystem"],
            swiftSettings: house),
        .testTarget(
            name: "StorageTests", dependencies: ["Storage", "CStorage", "LinuxSystem"], swiftSettings: house),
        .testTarget(
            name: "ImagesTests", dependencies: ["Images", "Storage", "CArchive", "LinuxSystem"],
            swiftSettings: house),
        .testTarget(
            name: "ContainerFilesTests", dependencies: ["ContainerRuntime", "LinuxSystem"],
            swiftSettings: house),
        .testTarget(
            name: "CheckpointTests", dependencies: ["Checkpoint", "ContainerRuntime", "CRIU", "LinuxSystem"],
            swiftSettings: house),
        .testTarget(
            name: "NetworkingTests", dependencies: ["Networking", "LinuxSystem"], swiftSettings: house),
        .testTarget(
            name: "MigrationTests", dependencies: ["Migration", swiftProtobuf], swiftSettings: house),
        .testTarget(name: "ApusAPITests", dependencies: ["ApusAPI"], swiftSettings: house),
        .testTarget(
            name: "ApusCoreTests", dependencies: ["ApusCore", "ApusAPI", "ContainerRuntime"],
            swiftSettings: house),
        .testTarget(
            name: "ApusServerTests",
            dependencies: [
                "ApusServer", "ApusCore", "ApusAPI", "Certificates", "LinuxSystem", logging, nioCore,
                nioHTTP1,
                nioPosix, nioSSL, nioWebSocket,
            ],
            swiftSettings: house),
        .testTarget(
            name: "ApusClientTests",
            dependencies: [
                "ApusClient", "ApusAPI", "Certificates", nioCore, nioHTTP1, nioPosix, nioSSL, nioWebSocket,
            ],
            swiftSettings: house),
        .testTarget(
            name: "ApusCommandsTests",
            dependencies: ["ApusCommands", "ApusClient", "ApusAPI", argumentParser, nioCore, nioHTTP1],
            swiftSettings: house),
        .testTarget(
            name: "IntegrationTests", dependencies: ["ApusAPI", "ApusClient", "LinuxSystem", grdb],
            path: "Tests/Integration", exclude: ["Guest"], swiftSettings: house),
    ]
)
