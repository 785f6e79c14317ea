public import ApusAPI
import NIOHTTP1

extension Client {
    /// What the daemon says of itself.
    public func server() async throws -> Server { try await get("/1.0") }

    /// Sets some of the daemon's own keys; an empty value unsets.
    public func patchServer(_ config: ConfigMap) async throws {
        try await send(.PATCH, "/1.0", ["config": config])
    }

    /// What the machine of the daemon has.
    public func resources() async throws -> Resources { try await get("/1.0/resources") }

    /// All profiles.
    public func profiles() async throws -> [Profile] {
        try await get("/1.0/profiles", query: [("recursion", "1")])
    }

    /// One profile.
    public func profile(_ name: String) async throws -> Profile {
        try await get("/1.0/profiles/\(name.percentEncoded)")
    }

    /// Changes a profile.
    public func updateProfile(_ name: String, _ put: ProfilePut, etag: String? = nil) async throws {
        try await send(.PUT, "/1.0/profiles/\(name.percentEncoded)", put, etag: etag)
    }

    /// Makes a profile.
    public func createProfile(_ profile: Profile) async throws {
        try await send(.POST, "/1.0/profiles", profile)
    }

    /// Renames a profile; containers keep it.
    public func renameProfile(_ name: String, to newName: String) async throws {
        try await send(.POST, "/1.0/profiles/\(name.percentEncoded)", InstancePost(name: newName))
    }

    /// Deletes a profile that no container has.
    public func deleteProfile(_ name: String) async throws {
        try await send(.DELETE, "/1.0/profiles/\(name.percentEncoded)")
    }

    /// All storage pools.
    public func storagePools() async throws -> [StoragePool] {
        try await get("/1.0/storage-pools", query: [("recursion", "1")])
    }

    /// One storage pool.
    public func storagePool(_ name: String) async throws -> StoragePool {
        try await get("/1.0/storage-pools/\(name.percentEncoded)")
    }

    /// Makes a storage pool.
    public func createStoragePool(_ post: StoragePoolsPost) async throws {
        try await send(.POST, "/1.0/storage-pools", post)
    }

    /// Asks whether the daemon has finished starting; throws if it has not.
    public func ready() async throws { try await perform(Request(.GET, "/internal/ready")) }

    /// Asks the daemon to end.
    public func shutdown() async throws { try await perform(Request(.PUT, "/internal/shutdown")) }
}
