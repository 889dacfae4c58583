internal import GRDB

/// The tables of `jobs.sqlite`; `docs/formats/job-table.md` describes them.
enum JobTableSchema {
    /// "CisJ" in ASCII.
    static let applicationID: Int32 = 0x4369_734A
    static let version: Int32 = 1

    static let kind = StateFileKind(
        applicationID: applicationID, version: version, noun: "job table",
        hint: "Move it away to go on without the history of runs; lists and store are not touched",
        migrator: migrator)

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            try db.execute(sql: "PRAGMA application_id = \(applicationID)")
            try db.execute(sql: "PRAGMA user_version = 1")
            try db.execute(sql: run)
            try db.execute(sql: job)
            try db.execute(sql: event)
            for index in indexes { try db.execute(sql: index) }
        }
        return migrator
    }

    private static let run = """
        CREATE TABLE run (
          id TEXT PRIMARY KEY NOT NULL,
          pipeline TEXT NOT NULL,
          definition TEXT NOT NULL,
          state TEXT NOT NULL,
          created INTEGER NOT NULL,
          finished INTEGER,
          exit_code INTEGER,
          owner TEXT,
          owner_until INTEGER
        ) STRICT
        """

    private static let job = """
        CREATE TABLE job (
          id INTEGER PRIMARY KEY AUTOINCREMENT,
          run TEXT NOT NULL,
          position INTEGER NOT NULL,
          module TEXT NOT NULL,
          stages TEXT NOT NULL,
          payload BLOB NOT NULL,
          state TEXT NOT NULL,
          attempts INTEGER NOT NULL,
          deaths INTEGER NOT NULL,
          error_count INTEGER NOT NULL,
          not_before INTEGER NOT NULL,
          lease_owner TEXT,
          lease_until INTEGER,
          cancel_requested INTEGER NOT NULL,
          error_class TEXT,
          error TEXT,
          started INTEGER,
          finished INTEGER,
          stage TEXT,
          units INTEGER NOT NULL,
          bytes INTEGER NOT NULL,
          units_total INTEGER,
          progressed INTEGER,
          result TEXT
        ) STRICT
        """

    private static let event = """
        CREATE TABLE event (
          id INTEGER PRIMARY KEY AUTOINCREMENT,
          time INTEGER NOT NULL,
          run TEXT,
          job INTEGER,
          kind TEXT NOT NULL,
          text TEXT NOT NULL
        ) STRICT
        """

    private static let indexes = [
        // Two dispatchers cannot both begin a run of one pipeline.
        "CREATE UNIQUE INDEX run_active ON run (pipeline) WHERE state = 'running'",
        "CREATE UNIQUE INDEX job_position ON job (run, position)",
        "CREATE INDEX job_queue ON job (run, error_count, position) WHERE state = 'queued'",
        // A module is worked on by one worker at a time.
        "CREATE UNIQUE INDEX job_leased ON job (module) WHERE state = 'leased'",
    ]
}
