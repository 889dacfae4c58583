internal import Platform

/// What the holder of a lock and its refreshing thread share.
final class LockCore: Sendable {
    private struct State {
        var current: Digest?
        /// Files that may be there and are not wanted: removing or writing them failed.
        var leftovers: [Digest] = []
        var refreshed = Timestamp(seconds: 0)
        var isLost = false
        var isStopping = false
    }

    private let backend: any Backend
    private let key: MasterKey
    private let exclusive: Bool
    private let owner: LockOwner
    private let journal: LockJournal
    private let options: LockOptions
    private let state = Monitor(State())
    /// One refresh or removal at a time; apart from `state`, which is never held over a call.
    private let turn = Monitor(())

    init(
        backend: any Backend, key: MasterKey, exclusive: Bool, owner: LockOwner,
        journal: LockJournal, options: LockOptions
    ) {
        self.backend = backend
        self.key = key
        self.exclusive = exclusive
        self.owner = owner
        self.journal = journal
        self.options = options
    }

    var current: Digest? { state.with { $0.current } }

    func take(_ list: LockListing) throws(Failure) {
        let survey = LockSurvey(
            backend: backend, sealer: Sealer(key: key), exclusive: exclusive,
            program: owner.program, journal: journal, options: options)
        do throws(Failure) {
            // Not looked for before: whoever has a lock now has it afterwards as well, and of two
            // who write at once at least one sees the other.
            let id = try write()
            options.pause(options.settleSeconds)
            try survey.look(except: id, listed: try list())
        } catch {
            // The other's lock is what to tell; ours, if it stays, is known to the journal.
            try? remove()
            throw error
        }
    }

    func check() throws(Failure) {
        let (isLost, refreshed) = state.with { ($0.isLost, $0.refreshed) }
        guard !isLost else {
            throw Failure(
                .locked, "our lock on store \(backend.location) was removed by somebody",
                hint: "Run again; `restic unlock --remove-all` takes locks of running programs.")
        }
        let age = options.clock.now().seconds - refreshed.seconds
        // Five minutes before others take it as stale.
        guard age < LockFile.staleAfter - 300 else {
            throw Failure(
                .locked, "our lock on store \(backend.location) is out of date",
                cause: "it could not be refreshed for \(age) seconds", hint: "Run again.")
        }
    }

    /// The thread's body: refreshes at each interval until the lock is given back.
    ///
    /// An error is tried again after a tenth of the interval; `check` tells when that took too
    /// long.
    func keepFresh() {
        var seconds = options.refreshInterval
        while true {
            let stopping: Bool? = state.wait(seconds: seconds) { $0.isStopping ? true : nil }
            if stopping == true { return }
            do throws(Failure) {
                try refresh()
                seconds = options.refreshInterval
            } catch {
                seconds = max(options.refreshInterval / 10, 0.001)
            }
        }
    }

    func refresh() throws(Failure) {
        try inTurn { () throws(Failure) in
            guard let old = current, !state.with({ $0.isStopping || $0.isLost }) else { return }
            let size = try backend.failing { store throws(BackendError) in
                try store.size(ObjectKey(.lock, old))
            }
            if size == nil {
                // A lock that is lost cannot be had back, so one answer is not enough.
                guard try isListed(old) else {
                    state.with { $0.isLost = true }
                    return
                }
            }
            _ = try write()
            state.with { $0.leftovers.append(old) }
            try removeLeftovers()
        }
    }

    private func isListed(_ lock: Digest) throws(Failure) -> Bool {
        var isListed = false
        try backend.failing { store throws(BackendError) in
            try store.list(.lock) { id, _ in isListed = isListed || id == lock }
        }
        return isListed
    }

    func stop() {
        state.with { $0.isStopping = true }
    }

    func remove() throws(Failure) {
        try inTurn { () throws(Failure) in
            state.with { state in
                if let id = state.current { state.leftovers.append(id) }
                state.current = nil
            }
            try removeLeftovers()
        }
    }

    private func removeLeftovers() throws(Failure) {
        while let id = state.with({ $0.leftovers.last }) {
            try journal.remove(id, from: backend, exclusive: exclusive)
            state.with { $0.leftovers.removeAll { $0 == id } }
        }
    }

    /// Writes a lock of now, which becomes the current one.
    private func write() throws(Failure) -> Digest {
        let now = options.clock.now()
        let lock = LockFile(
            time: now, exclusive: exclusive, hostname: owner.holder.hostname,
            username: owner.username, pid: owner.holder.pid, uid: owner.uid, gid: owner.gid,
            program: owner.program)
        let json = lock.encode()
        let (id, bytes) = UnpackedFile.seal(plain: json.span, sealer: Sealer(key: key))
        try journal.willWrite(id)
        do throws(Failure) {
            try backend.failing { store throws(BackendError) in
                try store.put(ObjectKey(.lock, id), bytes.span)
            }
        } catch {
            // It may have been written all the same.
            state.with { $0.leftovers.append(id) }
            throw error
        }
        state.with { state in
            state.current = id
            state.refreshed = now
        }
        return id
    }

    private func inTurn(_ body: () throws(Failure) -> Void) throws(Failure) {
        let result = turn.with { _ in Result(catching: body) }
        try result.get()
    }
}
