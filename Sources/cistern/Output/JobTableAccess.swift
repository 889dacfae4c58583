internal import Dispatcher
internal import JobTable
internal import Platform

extension Configuration {
    /// The path of the central table of runs and jobs.
    var jobTablePath: String { "\(state)/jobs.sqlite" }

    /// Opens the job table, creating the state folder if it is missing.
    func openJobTable() throws(Failure) -> SQLiteJobTable {
        do {
            try AtomicFile.makeDirectories(state)
        } catch {
            throw Failure(
                .module, "cannot make the state folder \(state)", cause: error.description)
        }
        return try SQLiteJobTable(path: jobTablePath)
    }

    /// The job table if there is one; reading commands make none.
    func existingJobTable() throws(Failure) -> SQLiteJobTable? {
        Path.kind(jobTablePath) == nil ? nil : try openJobTable()
    }

    /// The job table with the run `id` in it.
    ///
    /// Throws `usage` when there is no such run.
    func jobTable(with id: String) throws(Failure) -> (SQLiteJobTable, Run) {
        guard let table = try existingJobTable(), let run = try table.run(id) else {
            throw Failure(.usage, "there is no run \(id)", hint: "`cistern runs` lists them")
        }
        return (table, run)
    }
}
