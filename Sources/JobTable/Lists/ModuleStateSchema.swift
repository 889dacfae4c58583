internal import GRDB

/// The tables of a module's state file; `docs/formats/lists.md` describes them.
///
/// Every row carries a checksum, and the one row of `meta` knows how many others there are: what
/// cannot be trusted is found when it is read. There are no indexes, which could lie on their own.
enum ModuleStateSchema {
    /// "CisL" in ASCII.
    static let applicationID: Int32 = 0x4369_734C
    static let version: Int32 = 1

    static func kind(module: String) -> StateFileKind {
        var kind = template
        kind.noun = "state file of module \(module)"
        kind.hint =
            "Rebuild it from the store with `cistern state rebuild \(module)`; nothing was changed"
        return kind
    }

    private static let template = StateFileKind(
        applicationID: applicationID, version: version, noun: "state file", hint: "",
        migrator: migrator)

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            try db.execute(sql: "PRAGMA application_id = \(applicationID)")
            try db.execute(sql: "PRAGMA user_version = 1")
            try db.execute(sql: meta)
            try db.execute(sql: list)
            try db.execute(sql: chunk)
            try db.execute(sql: note)
        }
        return migrator
    }

    private static let meta = """
        CREATE TABLE meta (
          id INTEGER PRIMARY KEY CHECK (id = 1),
          module TEXT NOT NULL,
          next_list INTEGER NOT NULL,
          lists INTEGER NOT NULL,
          notes INTEGER NOT NULL,
          baseline_list INTEGER,
          snapshot BLOB,
          root_tree BLOB,
          store TEXT,
          store_generation INTEGER,
          baseline_time INTEGER,
          sum INTEGER NOT NULL
        ) STRICT
        """

    private static let list = """
        CREATE TABLE list (
          id INTEGER PRIMARY KEY,
          run TEXT NOT NULL,
          stage TEXT NOT NULL,
          definition BLOB NOT NULL,
          finished INTEGER NOT NULL,
          dropped INTEGER NOT NULL,
          chunks INTEGER NOT NULL,
          units INTEGER NOT NULL,
          last_key BLOB NOT NULL,
          input_chunks INTEGER NOT NULL,
          last_path BLOB,
          note BLOB,
          stats BLOB,
          sum INTEGER NOT NULL
        ) STRICT
        """

    /// The chunks of all lists; `id` is the list's id × 2³² + the number of the chunk.
    ///
    /// The small columns come first, so that
    /// looking for a key does not read the data.
    private static let chunk = """
        CREATE TABLE chunk (
          id INTEGER PRIMARY KEY,
          first_seq INTEGER NOT NULL,
          count INTEGER NOT NULL,
          last_key BLOB NOT NULL,
          raw_size INTEGER NOT NULL,
          data_sum INTEGER NOT NULL,
          sum INTEGER NOT NULL,
          data BLOB NOT NULL
        ) STRICT
        """

    private static let note = """
        CREATE TABLE note (
          id INTEGER PRIMARY KEY,
          name TEXT NOT NULL,
          value BLOB NOT NULL,
          sum INTEGER NOT NULL
        ) STRICT
        """
}
