package import Platform

/// How a lock is taken and kept; the defaults are restic's.
package struct LockOptions: Sendable {
    /// Seconds between two refreshes.
    package var refreshInterval: Double = 300
    /// Seconds between writing the lock and looking for others that were written meanwhile.
    package var settleSeconds: Double = 0.2
    /// Seconds to wait before each further look at a lock that cannot be read.
    package var unreadableWaits: [Double] = [5, 10, 20]
    /// Seconds to wait before each further look at a listing that lacks our own lock.
    package var lagWaits: [Double] = [0.5, 1, 2, 4, 8]
    /// Where the locks' times come from.
    package var clock: any WallClock = SystemClock()
    /// Waits for a number of seconds.
    package var pause: @Sendable (Double) -> Void = { Platform.pause(seconds: $0) }

    package init() {}
}

/// Who takes a lock, for those who find it.
package struct LockOwner: Sendable {
    package var username: String
    package var uid: UInt32
    package var gid: UInt32
    /// Host and process.
    package var holder: LockHolder
    /// The program, as others see it.
    ///
    /// Of those who are `LockFile.collector` there is one at a time.
    package var program: String

    package init(
        username: String, uid: UInt32, gid: UInt32, holder: LockHolder = .current,
        program: String = LockFile.cistern
    ) {
        self.program = program
        self.holder = holder
        self.username = username
        self.uid = uid
        self.gid = gid
    }
}

/// Where the ids of our own locks are kept over a crash, so that exactly these can be removed.
package struct LockJournal: Sendable {
    /// Whether a lock was written by this installation.
    package var isOurs: @Sendable (Digest) -> Bool
    /// Called, durably, before a lock is written.
    package var willWrite: @Sendable (Digest) throws(Failure) -> Void
    /// Called after a lock was removed.
    package var didRemove: @Sendable (Digest) -> Void
    /// Called when the place does not let us remove a lock: it stays, and hinders nobody who
    /// shares the store.
    package var mayNotRemove: @Sendable (Digest, Failure) -> Void

    package init(
        isOurs: @escaping @Sendable (Digest) -> Bool,
        willWrite: @escaping @Sendable (Digest) throws(Failure) -> Void = { _ throws(Failure) in },
        didRemove: @escaping @Sendable (Digest) -> Void = { _ in },
        mayNotRemove: @escaping @Sendable (Digest, Failure) -> Void = { _, _ in }
    ) {
        self.isOurs = isOurs
        self.willWrite = willWrite
        self.didRemove = didRemove
        self.mayNotRemove = mayNotRemove
    }
}

extension LockJournal {
    /// Removes one of our own locks; a place that only appends may refuse, and a shared lock then
    /// stays.
    func remove(
        _ id: Digest, from backend: any Backend, exclusive: Bool = false
    ) throws(Failure) {
        do throws(BackendError) {
            try backend.remove(ObjectKey(.lock, id))
            didRemove(id)
        } catch {
            guard case .refused = error, !exclusive else {
                throw error.failure(at: backend.location)
            }
            mayNotRemove(id, error.failure(at: backend.location))
        }
    }
}

/// The locks of a repository with their sizes in bytes; nil to have them listed.
package typealias LockListing = () throws(Failure) -> [(id: Digest, size: UInt64)]?

/// A lock of a repository that is held and refreshed until `release`.
///
/// restic's protocol: look, write, wait, look again; every five minutes a new lock file replaces
/// the old one. A shared lock admits other shared ones, an exclusive lock admits none.
package final class RepositoryLock: Sendable {
    private let core: LockCore
    private let thread: DedicatedThread

    private init(core: LockCore) {
        self.core = core
        thread = DedicatedThread(name: "store-lock") { core.keepFresh() }
    }

    deinit {
        core.stop()
    }

    /// Takes a lock on the repository in `backend`.
    ///
    /// Locks of dead processes of this host are removed first if `journal` knows them as ours, and
    /// no others: who else holds the repository is for its owner to judge.
    ///
    /// `list` may list the locks after ours was written, by a listing that is of further use.
    ///
    /// Throws a `locked` failure that names the holder of a lock in the way, and a `store` failure
    /// when a lock stays unreadable.
    package static func take(
        _ backend: any Backend, key: MasterKey, exclusive: Bool = false, owner: LockOwner,
        journal: LockJournal, options: LockOptions = LockOptions(),
        list: LockListing = { nil }
    ) throws(Failure) -> RepositoryLock {
        let core = LockCore(
            backend: backend, key: key, exclusive: exclusive, owner: owner, journal: journal,
            options: options)
        try core.take(list)
        return RepositoryLock(core: core)
    }

    /// The lock's file at present; a refresh changes it.
    package var id: Digest? { core.current }

    /// Throws when the lock is no longer known to hold: it was removed by somebody, or could not be
    /// refreshed for so long that others may take it as stale.
    ///
    /// Ask before what relies on it.
    package func check() throws(Failure) {
        try core.check()
    }

    /// Replaces the lock file by a new one now, as the thread does every interval.
    package func refresh() throws(Failure) {
        try core.refresh()
    }

    /// Gives the repository back.
    ///
    /// Throws when the lock file cannot be removed; it then blocks others until it is removed by
    /// the next run or by `restic unlock`.
    package func release() throws(Failure) {
        core.stop()
        thread.join()
        try core.remove()
    }
}
