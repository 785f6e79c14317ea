import ApusAPI
import ContainerRuntime
import LinuxSystem
import Logging
import Networking

extension ContainerService {
    var deviceServices: DeviceServices { DeviceServices(context: context, pools: pools, networks: networks) }

    /// A container as its devices know it.
    func owner(_ record: ContainerRecord) -> DeviceOwner {
        let expanded = expanded(record)
        return DeviceOwner(record: record, config: expanded.config, devices: expanded.devices)
    }

    /// Refuses devices that refer to something that is not there. For a change that is about to be kept.
    func checkDevices(_ record: ContainerRecord) async throws {
        let owner = owner(record)
        for (name, config) in owner.devices.sorted(by: { $0.key < $1.key }) {
            let device = Device(name, config)
            try await DeviceTypes.find(device).check(device, of: owner, in: deviceServices)
        }
    }

    /// Gives interfaces that have no address one, which they keep.
    func withAddresses(_ record: ContainerRecord) -> ContainerRecord {
        var record = record
        for (name, config) in expanded(record).devices
        where config["type"] == "nic" && config["nictype"] != "physical" {
            let key = "volatile.\(name).hwaddr"
            if record.volatile[key] == nil { record.volatile[key] = LinkNames.randomAddress() }
        }
        return record
    }

    /// Prepares all devices for a start or restore, and tells the runtime of them.
    func startDevices(_ record: ContainerRecord, _ spec: inout ContainerSpec, _ rollback: Rollback)
        async throws
        -> [String: LiveDevice]
    {
        let owner = owner(record)
        var devices: [String: LiveDevice] = [:]
        for (name, config) in owner.devices.sorted(by: { $0.key < $1.key }) {
            let device = Device(name, config)
            let contribution = try await DeviceTypes.find(device).start(
                device, of: owner, in: deviceServices, rollback)
            contribution.apply(to: &spec)
            devices[name] = LiveDevice(device: device, contribution: contribution)
        }
        return devices
    }

    /// Brings the devices of a running container in line with its configuration. On failure they are as they were.
    func applyDevices(_ record: ContainerRecord, _ live: LiveContainer) async throws {
        let running = RunningOwner(owner: owner(record), live: live)
        let present = live.devices.all
        let wanted = running.owner.devices.mapValues { $0 }
        try await withRollback(onUndoFailure: { [logger = logger(record.name)] error in
            logger.error("cannot put a device back", metadata: ["error": "\(ServiceError.text(of: error))"])
        }) { rollback in
            for (name, old) in present.sorted(by: { $0.key < $1.key })
            where wanted[name] != old.device.config {
                let new = wanted[name].map { Device(name, $0) }
                try await change(old, to: new, running, rollback)
            }
            for (name, config) in wanted.sorted(by: { $0.key < $1.key }) where present[name] == nil {
                try await plug(Device(name, config), running, rollback)
            }
        }
    }

    private func change(
        _ old: LiveDevice, to new: Device?, _ running: RunningOwner, _ rollback: Rollback
    ) async throws {
        let type = try DeviceTypes.find(old.device)
        if let new, try DeviceTypes.find(new).title == type.title {
            let changed = try await type.update(
                old.device, to: new, old.contribution, in: running, services: deviceServices)
            if let changed {
                try running.live.devices.set(new.name, LiveDevice(device: new, contribution: changed))
                rollback.add {
                    let back = try await type.update(
                        new, to: old.device, changed, in: running, services: self.deviceServices)
                    let contribution = back ?? old.contribution
                    try running.live.devices.set(
                        new.name, LiveDevice(device: old.device, contribution: contribution))
                }
                return
            }
        }
        try await type.unplug(old.device, old.contribution, from: running, in: deviceServices)
        try running.live.devices.set(old.device.name, nil)
        rollback.add { try await self.plug(old.device, running, nil) }
        if let new { try await plug(new, running, rollback) }
    }

    private func plug(_ device: Device, _ running: RunningOwner, _ rollback: Rollback?) async throws {
        let type = try DeviceTypes.find(device)
        let contribution = try await type.plug(device, into: running, in: deviceServices)
        rollback?.add {
            try await type.unplug(device, contribution, from: running, in: self.deviceServices)
            try running.live.devices.set(device.name, nil)
        }
        try running.live.devices.set(device.name, LiveDevice(device: device, contribution: contribution))
    }

    /// Removes what the devices of a container that has ended left on the host.
    func stopDevices(_ live: LiveContainer, _ record: ContainerRecord) async {
        let owner = owner(record)
        for (_, device) in live.devices.all.sorted(by: { $0.key < $1.key }) {
            do {
                try await DeviceTypes.find(device.device).stop(
                    device.device, device.contribution, of: owner, in: deviceServices)
            } catch {
                logger(record.name).error(
                    "cannot clean up after a device",
                    metadata: ["device": "\(device.device.name)", "error": "\(ServiceError.text(of: error))"])
            }
        }
    }
}
