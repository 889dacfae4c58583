internal import FoundationEssentials
internal import GRDB
package import Platform

/// Asks the index whether blobs can be had, over a connection of its own, so that threads do not
/// wait for each other.
///
/// Not for use by two threads at once.
package final class BlobLookup {
    /// Look-ups that share a transaction: each one costs locks on the file, and a long one keeps
    /// writers from shortening their journal.
    private static let lookupsPerTransaction = 2048

    private let queue: DatabaseQueue
    private let path: String
    private var left = 0

    /// Opens a further connection to `index`.
    package init(index: BlobIndex) throws(Failure) {
        path = index.path
        do {
            var configuration = Configuration()
            configuration.busyMode = .timeout(60)
            configuration.readonly = true
            configuration.allowsUnsafeTransactions = true
            queue = try DatabaseQueue(path: index.path, configuration: configuration)
        } catch {
            throw BlobIndex.failure(error, index.path)
        }
    }

    private func begin(_ db: Database, _ count: Int) throws {
        if left <= 0 {
            if db.isInsideTransaction { try db.commit() }
            try db.beginTransaction(.deferred)
            left = BlobLookup.lookupsPerTransaction
        }
        left -= count
    }

    /// The places in `ids` of those of which the store has no usable copy.
    package func missing(_ ids: [Digest], _ type: BlobType) throws(Failure) -> [Int] {
        do {
            return try queue.unsafeRead { db in
                try begin(db, ids.count)
                let statement = try IndexStatement(
                    db,
                    """
                    SELECT 1 FROM blob JOIN pack ON pack.pk = blob.pack
                    WHERE \(BlobIndex.isUsableCopy) LIMIT 1
                    """)
                try statement.bind(2, Int64(type.rawValue))
                var missing: [Int] = []
                for i in ids.indices {
                    statement.restart()
                    try statement.bind(1, ids[i])
                    if try !statement.step() { missing.append(i) }
                }
                return missing
            }
        } catch {
            throw BlobIndex.failure(error, path)
        }
    }
}

/// A set of digests on disk, for sets that may be too large for memory, for use
/// by any thread.
package final class DigestSet: Sendable {
    private let queue: DatabaseQueue

    /// An empty set, in a file without a name that goes away with it.
    package init() throws(Failure) {
        do {
            var configuration = Configuration()
            // One transaction for its whole life: nothing of it has to survive.
            configuration.allowsUnsafeTransactions = true
            configuration.prepareDatabase { db in
                try db.execute(
                    sql: """
                        PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
                        PRAGMA cache_size = -8192
                        """)
            }
            // SQLite's name for a temporary database on disk.
            queue = try DatabaseQueue(path: "", configuration: configuration)
            try queue.writeWithoutTransaction { db in
                try db.execute(sql: "CREATE TABLE seen (id BLOB PRIMARY KEY) WITHOUT ROWID")
                try db.execute(sql: "BEGIN")
            }
        } catch {
            throw DigestSet.failure(error)
        }
    }

    /// Adds `id`; false when it is in the set.
    package func insert(_ id: Digest) throws(Failure) -> Bool {
        do {
            return try queue.unsafeReentrantWrite { db in
                try db.cachedStatement(sql: "INSERT OR IGNORE INTO seen VALUES (?)")
                    .execute(arguments: [id.data])
                return db.changesCount > 0
            }
        } catch {
            throw DigestSet.failure(error)
        }
    }

    /// Whether `id` is in the set.
    package func contains(_ id: Digest) throws(Failure) -> Bool {
        do {
            return try queue.unsafeReentrantRead { db in
                try Int.fetchOne(
                    db.cachedStatement(sql: "SELECT 1 FROM seen WHERE id = ?"),
                    arguments: [id.data]) != nil
            }
        } catch {
            throw DigestSet.failure(error)
        }
    }

    private static func failure(_ error: any Error) -> Failure {
        Failure(
            .temporary, "a temporary file of SQLite cannot be used", cause: "\(error)",
            hint: "Free space in /var/tmp, or name another folder in SQLITE_TMPDIR")
    }
}
