package import Platform

/// One version of an object at a place that keeps them.
package struct ObjectVersion: Sendable, Equatable {
    package var key: ObjectKey
    /// The place's own name of the version.
    package var name: String

    package init(key: ObjectKey, name: String) {
        self.key = key
        self.name = name
    }
}

/// A place where what is removed or replaced may live on as an older version: S3 with versioning.
package protocol VersionedBackend: Backend {
    /// Whether the place knows of versions at all: some that speak S3 do not.
    ///
    /// - Throws: also when whoever asks may not list them.
    func knowsVersions() throws(BackendError) -> Bool

    /// Calls `each` for every version of every object of `kind`, also of those that were removed,
    /// and for the marks that say so.
    func objectVersions(
        _ kind: ObjectKind, _ each: (ObjectVersion) throws(BackendError) -> Void
    ) throws(BackendError)

    /// Removes versions for good; one that is not there is a success.
    func removeObjectVersions(_ versions: [ObjectVersion]) throws(BackendError)
}

extension Backend {
    /// The place as one that keeps versions, where it knows of them.
    package func askedForVersions() throws(Failure) -> (any VersionedBackend)? {
        guard let versioned else { return nil }
        return try versioned.failing { place throws(BackendError) in try place.knowsVersions() }
            ? versioned : nil
    }
}
