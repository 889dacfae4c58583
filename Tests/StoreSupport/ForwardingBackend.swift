package import ContentStore
package import Platform

/// A place that hands every call on to another one: a double has only the calls that it is about.
///
/// What it does not have of its own goes through `willCall`, and then to `base`.
package protocol ForwardingBackend: Backend {
    associatedtype Base: Backend
    var base: Base { get }

    /// Called before a call is handed on; may wait, or fail in its place.
    ///
    /// - Parameter key: the object that the call is about; nil for a listing.
    func willCall(_ call: BackendCall, _ key: ObjectKey?) throws(BackendError)
}

extension ForwardingBackend {
    package var location: String { base.location }

    package func willCall(_ call: BackendCall, _ key: ObjectKey?) throws(BackendError) {}

    package func put(_ key: ObjectKey, _ bytes: Span<UInt8>) throws(BackendError) {
        try willCall(.put, key)
        try base.put(key, bytes)
    }

    package func put(
        _ key: ObjectKey, from file: borrowing Descriptor, size: UInt64
    ) throws(BackendError) {
        try willCall(.put, key)
        try base.put(key, from: file, size: size)
    }

    package func get(_ key: ObjectKey, limit: Int) throws(BackendError) -> [UInt8] {
        try willCall(.get, key)
        return try base.get(key, limit: limit)
    }

    package func read(
        _ key: ObjectKey, _ range: Range<UInt64>, into output: inout [UInt8]
    ) throws(BackendError) {
        try willCall(.read, key)
        try base.read(key, range, into: &output)
    }

    package func size(_ key: ObjectKey) throws(BackendError) -> UInt64? {
        try willCall(.size, key)
        return try base.size(key)
    }

    package func list(
        _ kind: ObjectKind, _ each: (_ id: Digest, _ size: UInt64) throws(BackendError) -> Void
    ) throws(BackendError) {
        try willCall(.list, nil)
        try base.list(kind, each)
    }

    package func remove(_ key: ObjectKey) throws(BackendError) {
        try willCall(.remove, key)
        try base.remove(key)
    }

    package func removeLeftovers(olderThan time: Timestamp) throws(BackendError) -> Int {
        try base.removeLeftovers(olderThan: time)
    }
}
