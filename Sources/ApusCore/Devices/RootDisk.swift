import Storage

/// The disk a container's root file system is on.
struct RootDisk: DeviceType {
    let title = "`disk` with path `/`"
    let summary = "The root disk: where the container's files are. Every container has one."
    let checkpoint = "its files are saved with the checkpoint, at the same instant."
    let keys: [DeviceKey] = [
        DeviceKey("path", .word(["/"]), required: true, "Where it is mounted: `/`"),
        DeviceKey("pool", .text, default: "the only pool there is", "The storage pool"),
        DeviceKey(
            "size", .size, default: "no limit", live: true,
            "How many bytes the container's files may have; the pool has to be of driver btrfs"),
    ]

    func describes(_ device: Device) -> Bool { device.type == "disk" && device["path"] == "/" }

    func check(_ device: Device, of owner: DeviceOwner, in services: DeviceServices) async throws {
        guard let pool = device["pool"] else { return }
        let driver = try services.pools.driver(pool)
        if device["size"] != nil && !driver.limitsVolumes {
            throw device.refuse(
                "storage pool \"\(pool)\" has the driver \(driver.driver), which cannot limit sizes; use a btrfs pool, or no size"
            )
        }
    }
}
