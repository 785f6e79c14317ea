public import ApusAPI
import ContainerRuntime
import LinuxSystem
import Logging

extension ContainerService {
    /// Changes a container's configuration, or restores a snapshot.
    public func update(_ name: String, _ put: InstancePut, ifMatch: String?) throws -> ApusAPI.Operation {
        if !put.restore.isEmpty {
            // lxc 5 sends "container/snapshot".
            let snapshot = put.restore.split(separator: "/").last.map(String.init) ?? put.restore
            return try restore(name, snapshot: snapshot, stateful: put.stateful)
        }
        try ETag.check(ifMatch, against: try etag(name))
        var record = try entry(name).record
        record.config = try ownConfig(name, put.config)
        record.devices = put.devices
        record.profiles = put.profiles
        record.ephemeral = put.ephemeral
        record.description = put.description
        return try update(name, to: record)
    }

    /// Changes some of a container's configuration and leaves the rest as it is.
    public func patch(_ name: String, _ patch: InstancePatch, ifMatch: String?) throws -> ApusAPI.Operation {
        try ETag.check(ifMatch, against: try etag(name))
        var record = try entry(name).record
        if let config = patch.config {
            var merged = record.config.merging(try ownConfig(name, config)) { _, new in new }
            merged = merged.filter { !$0.value.isEmpty }
            record.config = merged
        }
        if let devices = patch.devices { record.devices.merge(devices) { _, new in new } }
        if let profiles = patch.profiles { record.profiles = profiles }
        if let ephemeral = patch.ephemeral { record.ephemeral = ephemeral }
        if let description = patch.description { record.description = description }
        return try update(name, to: record)
    }

    /// The user's part of a configuration. What the daemon keeps must not be changed, but may be left out.
    private func ownConfig(_ name: String, _ config: ConfigMap) throws -> ConfigMap {
        let entry = try entry(name)
        let volatile = entry.volatileConfig
        for (key, value) in config where key.hasPrefix("volatile.") {
            // It may have been started or stopped between the reading and the writing.
            guard volatile[key] == value || key == "volatile.last_state.power" else {
                throw ServiceError.badRequest("\"\(key)\" is kept by the daemon and cannot be changed")
            }
        }
        let own = config.filter { !$0.key.hasPrefix("volatile.") }
        try ConfigCheck.check(own, old: entry.record.config)
        return own
    }

    private func update(_ name: String, to record: ContainerRecord) throws -> ApusAPI.Operation {
        let old = try entry(name).record
        try ConfigCheck.check(devices: record.devices)
        for profile in record.profiles { _ = try profiles.get(profile) }
        return try context.operate(on: name, "updating", "Updating instance") { _ in
            try await self.updateNow(name, from: old, to: record)
            return nil
        }
    }

    private func updateNow(_ name: String, from old: ContainerRecord, to record: ContainerRecord) async throws
    {
        let live = try entry(name).live
        try await checkDevices(record)
        let addressed = withAddresses(record)
        try await withRollback { rollback in
            try change(name) { present in
                present.config = record.config
                present.devices = record.devices
                present.profiles = record.profiles
                present.ephemeral = record.ephemeral
                present.description = record.description
                present.volatile = addressed.volatile
            }
            rollback.add {
                try await self.putBack(name, old)
            }
            let changed = try entry(name).record
            try requirePool(changed)
            let (newRoot, oldRoot) = (rootDisk(changed), rootDisk(old))
            try await applyRootSize(changed, before: oldRoot)
            rollback.add { try await self.applyRootSize(old, before: newRoot) }
            if let live {
                rollback.add { try await self.applyLimits(old, live) }
                try await applyLimits(try entry(name).record, live)
                try await applyDevices(try entry(name).record, live)
            }
        }
        tell("instance-updated", name)
    }

    /// A container's files stay in the pool they are in.
    private func requirePool(_ record: ContainerRecord) throws {
        guard let pool = RootDisk.find(in: expanded(record).devices)?["pool"], !pool.isEmpty,
            pool != record.pool
        else { return }
        throw ServiceError.badRequest(
            "\"\(record.name)\" is in storage pool \"\(record.pool)\" and cannot be moved to \"\(pool)\" by its root disk"
        )
    }

    private func putBack(_ name: String, _ old: ContainerRecord) throws {
        try change(name) { present in
            present.config = old.config
            present.devices = old.devices
            present.profiles = old.profiles
            present.ephemeral = old.ephemeral
            present.description = old.description
        }
    }

    func applyLimits(_ record: ContainerRecord, _ live: LiveContainer) async throws {
        let limits = SpecBuilder.limits(
            expanded(record).config, generation: live.generation, processors: Machine.processors,
            memory: Machine.memory)
        try live.cgroup.applyLimits(limits)
    }
}
