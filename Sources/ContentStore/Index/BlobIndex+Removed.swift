package import Platform
internal import FoundationEssentials
internal import GRDB

/// What was removed from the store on purpose, from here: a check that finds it gone, and a mirror
/// that has it still, is not to take it for lost.
extension BlobIndex {
    /// Notes that `key` is about to be removed.
    package func noteRemoval(_ key: ObjectKey) throws(Failure) {
        guard let id = key.id else { return }
        try write { db in
            try db.execute(
                sql: "INSERT OR IGNORE INTO removed VALUES (?, ?)",
                arguments: [key.kind.rawValue, id.data])
        }
    }

    /// Whether `key` was removed from here.
    package func wasRemoved(_ key: ObjectKey) throws(Failure) -> Bool {
        guard let id = key.id else { return false }
        return try read { db in
            try Int.fetchOne(
                db, sql: "SELECT 1 FROM removed WHERE kind = ? AND id = ?",
                arguments: [key.kind.rawValue, id.data]) != nil
        }
    }
}
