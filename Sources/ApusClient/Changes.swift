extension Client {
    /// Fetches something with its ETag, lets `edit` change it and sends it back. If somebody else has changed it
    /// meanwhile (status 412) all of that begins anew: what `edit` changes does not depend on the rest. After the fifth
    /// time the daemon's refusal is thrown.
    public static func change<Value>(
        fetch: () async throws -> (value: Value, etag: String?),
        _ edit: (inout Value) throws -> Void,
        send: (Value, String?) async throws -> Void
    ) async throws {
        var attempts = 5
        while true {
            var (value, etag) = try await fetch()
            try edit(&value)
            attempts -= 1
            do {
                return try await send(value, etag)
            } catch let error as ClientError where error.code == .refused(status: 412) && attempts > 0 {
                continue
            }
        }
    }
}
