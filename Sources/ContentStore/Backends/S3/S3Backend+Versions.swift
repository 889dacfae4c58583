/// Buckets may keep what was removed or replaced.
extension S3Backend: VersionedBackend {
    package func objectVersions(
        _ kind: ObjectKind, _ each: (ObjectVersion) throws(BackendError) -> Void
    ) throws(BackendError) {
        try versions(kind) { version throws(BackendError) in
            guard let name = version.versionID else { return }
            try each(ObjectVersion(key: version.key, name: name, isLatest: version.isLatest))
        }
    }

    package func removeObjectVersions(_ versions: [ObjectVersion]) throws(BackendError) {
        try removeVersions(versions.map { S3ObjectVersion(key: $0.key, versionID: $0.name) })
    }
}
