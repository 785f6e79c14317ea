import Storage

extension ServiceError {
    /// What a storage pool says, with the status the API answers.
    init(_ error: StorageError) {
        let code: Code =
            switch error.code {
            case .notFound: .notFound
            case .alreadyExists: .conflict
            case .invalidName, .unsupported: .badRequest
            case .unavailable: .unavailable
            case .noSpace, .unstable, .ended, .system: .internal
            }
        self.init(code, error.message)
    }

    /// Runs work on a storage pool; what it throws becomes a service's error.
    static func ofStorage<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as StorageError {
            throw ServiceError(error)
        }
    }
}
