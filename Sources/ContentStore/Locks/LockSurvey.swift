internal import Platform

/// Looks at all locks of a repository for one that is in the way.
struct LockSurvey {
    let backend: any Backend
    let sealer: Sealer
    let exclusive: Bool
    let program: String
    let journal: LockJournal
    let options: LockOptions

    /// Throws a `locked` failure for a conflict with any lock but `own`, and a `temporary` one
    /// when the listing goes on without `own`: it then lacks others' as well.
    ///
    /// - Parameter listed: the locks, when they were listed already.
    func look(except own: Digest?, listed: [(id: Digest, size: UInt64)]? = nil) throws(Failure) {
        var ids = if let listed { listed } else { try list() }
        for wait in options.lagWaits {
            guard let own, !ids.contains(where: { $0.id == own }) else { break }
            options.pause(wait)
            ids = try list()
        }
        if let own, !ids.contains(where: { $0.id == own }) {
            throw Failure(
                .temporary, "the listing of store \(backend.location) lags behind",
                cause: "it does not have the lock that was just written")
        }
        // restic passes over files without content: a full disk leaves them behind.
        for (id, size) in ids where id != own && size > 0 {
            guard let lock = try read(id) else { continue }
            if journal.isOurs(id), lock.hostname == ProcessIdentity.hostName, lock.isOwnerDead {
                try journal.remove(id, from: backend)
                continue
            }
            // Two collectors would remove what the other one relies on.
            let isSecond = program == LockFile.collector && lock.program == program
            if exclusive || lock.exclusive || isSecond { throw conflict(lock) }
        }
    }

    private func list() throws(Failure) -> [(id: Digest, size: UInt64)] {
        var ids: [(id: Digest, size: UInt64)] = []
        try backend.failing { store throws(BackendError) in
            try store.list(.lock) { id, size in ids.append((id, size)) }
        }
        return ids
    }

    /// The lock `id`, nil when it has gone or has no content.
    ///
    /// One that cannot be read may be in the middle of an upload: it is read again some times.
    private func read(_ id: Digest) throws(Failure) -> LockFile? {
        var attempt = 0
        while true {
            do throws(Failure) {
                let bytes: [UInt8]
                do throws(BackendError) {
                    bytes = try backend.get(ObjectKey(.lock, id), limit: 1 << 20)
                } catch {
                    if case .missing = error { return nil }
                    throw error.failure(at: backend.location)
                }
                guard !bytes.isEmpty else { return nil }
                let json = try UnpackedFile.open(
                    bytes.span, expected: id, sealer: sealer, limit: 1 << 20)
                return try LockFile.decode(json)
            } catch {
                guard attempt < options.unreadableWaits.count else {
                    throw Failure(
                        .store, "lock \(id.short) of store \(backend.location) cannot be read",
                        cause: error.description,
                        hint: "When no program uses the store, remove it with "
                            + "`restic unlock --remove-all`.")
                }
                options.pause(options.unreadableWaits[attempt])
                attempt += 1
            }
        }
    }

    private func conflict(_ lock: LockFile) -> Failure {
        let stale = lock.isStale(now: options.clock.now())
        return Failure(
            .locked, "store \(backend.location) is locked \(lock.holder)",
            hint: stale
                ? "Its owner seems to be gone: `restic unlock` removes such locks."
                : "Wait until it has finished, or stop it.")
    }
}
