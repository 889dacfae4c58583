internal import Platform

/// A key file that opened a store on a network without being asked for there.
struct KeptKey: Sendable {
    /// Its name in the store.
    var id: Digest
    /// In bytes.
    var size: UInt64
    /// Where it is kept on this host.
    var path: String
    /// What opened it, and may open another key of the store as well.
    var password: [UInt8]
}

extension Store {
    /// Makes sure that a key file which was kept on this host is still in the store: who took a
    /// password back meant it.
    ///
    /// Asked once, and not before the store is locked: the listing that is made then has the keys.
    ///
    /// - Parameter keys: the keys of the store with their sizes in bytes, when they were listed.
    /// - Throws: a `usage` failure when the password opens no key of the store any more.
    func proveKey(_ keys: [Digest: UInt64]? = nil) throws(Failure) {
        guard let kept = keptKey.with({ $0 }) else { return }
        let size: UInt64?
        if let keys {
            size = keys[kept.id]
        } else {
            size = try backend.failing { store throws(BackendError) in
                try store.size(ObjectKey(.key, kept.id))
            }
        }
        if size != kept.size {
            let other = try Store.unlock(backend, kept.password)
            guard other.bytes == key.bytes else {
                throw Failure(
                    .store, "the keys of the store \(backend.location) were exchanged",
                    hint: "Run again.")
            }
            // The next opening keeps the one that fits.
            try? AtomicFile.remove(kept.path)
        }
        keptKey.with { $0 = nil }
    }
}
