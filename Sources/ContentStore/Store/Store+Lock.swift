package import Platform

extension Store {
    /// Takes restic's lock on the store for `session` and keeps it fresh until it is released.
    ///
    /// Locks that crashed processes of this installation left are removed, exactly these; everybody
    /// else's are respected.
    ///
    /// - Parameters:
    ///   - mirror: lock this mirror of the store instead of the store itself.
    ///   - list: lists the store once the lock is written, for who has further use of that.
    /// - Throws: a `locked` failure that names the holder.
    package func lock(
        session: String, exclusive: Bool = false, program: String = LockFile.cistern,
        mirror: (any Backend)? = nil, list: () throws(Failure) -> StoreListing? = { nil }
    ) throws(Failure) -> RepositoryLock {
        let place = mirror ?? backend
        let abandoned = Set(try index.abandonedLocks())
        let (index, fallbacks) = (index, fallbacks)
        let journal = LockJournal(
            isOurs: { abandoned.contains($0) },
            willWrite: { id throws(Failure) in try index.journalLock(id, session: session) },
            // An entry that stays is found out the next time: there is no such lock any more.
            didRemove: { id in try? index.forgetLock(id) },
            mayNotRemove: { id, failure in
                // It is of no further concern to us: the next run is not to try again.
                try? index.forgetLock(id)
                fallbacks.tell("the lock \(id.short) stays: \(failure)")
            })
        var options = LockOptions()
        options.clock = clock
        // The pause between writing a lock and looking again is for stores whose listings lag.
        if place.isLocal { options.settleSeconds = 0 }
        return try RepositoryLock.take(
            place, key: key, exclusive: exclusive,
            owner: LockOwner(
                username: "cistern", uid: effectiveUserID, gid: effectiveGroupID, holder: holder,
                program: program),
            journal: journal, options: options
        ) { () throws(Failure) in
            let listing = try list()
            if mirror == nil { try proveKey(listing?.keys) }
            return listing?.locks
        }
    }
}
