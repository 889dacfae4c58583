package import Platform

extension Store {
    /// Takes restic's lock on the store for `session` and keeps it fresh until it is released.
    ///
    /// Locks that crashed processes of this installation left are removed, exactly these; everybody
    /// else's are respected.
    ///
    /// - Throws: a `locked` failure that names the holder.
    package func lock(
        session: String, exclusive: Bool = false, program: String = LockFile.cistern
    ) throws(Failure) -> RepositoryLock {
        let abandoned = Set(try index.abandonedLocks())
        let index = index
        let journal = LockJournal(
            isOurs: { abandoned.contains($0) },
            willWrite: { id throws(Failure) in try index.journalLock(id, session: session) },
            // An entry that stays is found out the next time: there is no such lock any more.
            didRemove: { id in try? index.forgetLock(id) })
        var options = LockOptions()
        options.clock = clock
        // The pause between writing a lock and looking again is for stores whose listings lag.
        if backend.location.hasPrefix("file:") { options.settleSeconds = 0 }
        return try RepositoryLock.take(
            backend, key: key, exclusive: exclusive,
            owner: LockOwner(
                username: "cistern", uid: effectiveUserID, gid: effectiveGroupID, holder: holder,
                program: program),
            journal: journal, options: options)
    }
}
