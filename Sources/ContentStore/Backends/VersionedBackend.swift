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
    /// Calls `each` for every version of every object of `kind`, also of those that were removed,
    /// and for the marks that say so.
    func objectVersions(
        _ kind: ObjectKind, _ each: (ObjectVersion) throws(BackendError) -> Void
    ) throws(BackendError)

    /// Removes versions for good; one that is not there is a success.
    func removeObjectVersions(_ versions: [ObjectVersion]) throws(BackendError)
}
