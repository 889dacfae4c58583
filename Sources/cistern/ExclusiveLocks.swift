internal import ContentStore
internal import Platform

/// Exclusive locks on several stores at once: the places of one store, each as a store of its own.
struct ExclusiveLocks {
    /// The name under which this process journals what it does.
    let session: String
    /// How long to wait for those who use the stores, in seconds.
    let wait: Double

    /// Calls `body` with a lock on each of `stores`, in their order, and gives them all back.
    ///
    /// - Throws: a `locked` failure when somebody still has one of them after the wait.
    func during<R>(_ stores: [Store], _ body: ([RepositoryLock]) throws -> R) throws -> R {
        try during(stores[...], [], body)
    }

    private func during<R>(
        _ stores: ArraySlice<Store>, _ held: [RepositoryLock],
        _ body: ([RepositoryLock]) throws -> R
    ) throws -> R {
        guard let store = stores.first else { return try body(held) }
        let lock = try take(store)
        return try lock.during { try during(stores.dropFirst(), held + [lock], body) }
    }

    private func take(_ store: Store) throws(Failure) -> RepositoryLock {
        let deadline = monotonicSeconds() + wait
        var told = ""
        while true {
            do throws(Failure) {
                return try store.lock(session: session, exclusive: true)
            } catch {
                guard error.kind == .locked, monotonicSeconds() < deadline else { throw error }
                if error.message != told { Print.note("waiting: \(error.message)") }
                told = error.message
            }
            try Interruption.check()
            pause(seconds: 1)
        }
    }
}
