public import ApusAPI
import CRIU
import Certificates
import ContainerRuntime
import Glibc
import Synchronization

/// What the daemon says of itself.
public final class ServerInfo: Sendable {
    /// What this daemon can beyond LXD 2.0; each name is a promise that it works.
    public static let extensions = [
        "etag", "patch", "container_last_used_at", "profile_usedby", "container_exec_recording",
        "container_exec_signal_handling", "container_exec_user_group_cwd", "container_cpu_time",
        "container_host_shutdown_timeout", "container_syscall_filtering", "container_stateless_copy",
        "directory_manipulation", "file_delete", "file_append", "file_symlinks", "id_map", "id_map_base",
        "image_create_aliases", "entity_description", "operation_description", "console", "container_full",
        "api_filtering", "container_edit_metadata", "projects",
        "network", "network_leases", "network_state", "network_dhcp_expiry", "network_firewall_filtering",
        "network_routes",
        "network_vxlan_interface",
        "apus_nic_ipv4_filtering", "apus_nic_p2p_routes",
        "event_lifecycle", "instances", "instance_get_full",
        "storage", "storage_images_delete", "storage_api_volume_rename", "storage_btrfs_mount_options",
        "storage_volatile_initial_source",
        "container_only_migration", "certificate_update", "certificate_token", "image_compression_algorithm",
        "image_force_refresh",
        "resources", "kernel_limits",
        "apus_image_debian", "apus_image_remotes", "apus_checkpoint", "apus_checkpoint_check",
        "apus_checkpoint_show",
        "apus_progress", "apus_start_stateless",
        "container_backup", "backup_compression", "backup_compression_algorithm",
        "container_backup_override_pool", "backup_override_name", "apus_backup_state",
        "container_push",
        "container_push_target", "apus_live_migration",
        "apus_pool_move",
    ]

    private let context: ServiceContext
    private let pools: PoolService
    private let trust: TrustService
    private let criuVersion = Mutex<String?>(nil)

    init(context: ServiceContext, pools: PoolService, trust: TrustService) {
        self.context = context
        self.pools = pools
        self.trust = trust
    }

    /// The daemon, as `GET /1.0` shows it to strangers.
    public func untrustedServer() -> UntrustedServer { UntrustedServer(outline()) }

    /// The daemon, as `GET /1.0` shows it.
    public func server() -> Server {
        var server = outline()
        server.config = context.config.all
        server.environment = environment()
        return server
    }

    private func outline() -> Server {
        var server = Server()
        server.apiExtensions = Self.extensions
        server.auth = "trusted"
        server.authMethods = ["tls"]
        return server
    }

    /// The tag of the daemon's own keys.
    public func etag() throws -> String { try context.config.etag() }

    private func environment() -> ServerEnvironment {
        let machine = Machine.names
        let distribution = Machine.distribution
        var environment = ServerEnvironment()
        environment.addresses =
            ListenAddress(context.config["core.https_address"])?.reachable() ?? []
        environment.certificate = trust.identity.certificate.pem
        environment.certificateFingerprint = trust.identity.certificate.fingerprint
        environment.architectures = [machine.architecture]
        environment.driver = "apus-runtime"
        environment.driverVersion = ApusVersion.current
        environment.firewall = "nftables"
        environment.kernel = machine.system
        environment.kernelArchitecture = machine.architecture
        environment.kernelVersion = machine.release
        environment.kernelFeatures = ["idmapped_mounts": "true"]
        environment.osName = distribution.name
        environment.osVersion = distribution.version
        environment.project = "default"
        environment.server = "apus"
        environment.serverName = machine.host
        environment.serverPid = Int64(getpid())
        environment.serverVersion = ApusVersion.current
        environment.storage = Set(pools.list().map(\.driver)).sorted().joined(separator: " | ")
        environment.storageVersion = environment.storage.isEmpty ? "" : "1"
        environment.storageSupportedDrivers = PoolDrivers.available.map {
            StorageDriverInfo(name: $0, version: "1")
        }
        environment.apusCgroupLayout = context.layout.kind.rawValue
        environment.apusCriuVersion = criu()
        return environment
    }

    /// CRIU's version, asked for once.
    private func criu() -> String {
        if let known = criuVersion.withLock({ $0 }) { return known }
        let found = (try? CRIUInstallation.locate().version().description) ?? ""
        criuVersion.withLock { $0 = found }
        return found
    }
}
