internal import Platform

/// The files of one SQLite database: the main one and those of its journal.
struct StateFiles {
    let path: String

    /// Moves the files aside, never over others, and gives `new` their name.
    ///
    /// - Returns: where the old main file is now; nil when there was no old file at all.
    func replace(with new: String, at time: Timestamp) throws(Failure) -> String? {
        guard Path.kind(new + "-wal") == nil else {
            throw Failure(.bug, "\(new) was not closed")
        }
        do throws(SystemError) {
            let folder = try Descriptor.open(Path.folder(of: path), [.readOnly, .directory])
            let aside = freeName(time)
            var isThere = false
            // The main file first: without it nobody takes its journal for anything.
            for suffix in ["", "-wal", "-shm"] where Path.kind(path + suffix) != nil {
                try folder.rename(
                    name(path + suffix), to: name(aside + suffix), in: folder)
                isThere = true
            }
            try folder.sync()
            try folder.rename(name(new), to: name(path), in: folder)
            try folder.sync()
            return isThere ? aside : nil
        } catch {
            throw Failure(
                .module, "state file \(path) cannot be replaced", cause: error.description,
                hint: "The old one is in the same folder, and so is the new one: \(new)")
        }
    }

    private func name(_ path: String) -> [UInt8] { Array(Path.name(of: path).utf8) }

    private func freeName(_ time: Timestamp) -> String {
        let base = "\(path).damaged-\(time.seconds)"
        var name = base
        var number = 1
        while ["", "-wal", "-shm"].contains(where: { Path.kind(name + $0) != nil }) {
            number += 1
            name = "\(base)-\(number)"
        }
        return name
    }
}
