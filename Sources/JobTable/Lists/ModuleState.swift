internal import GRDB
package import Platform
internal import Synchronization

/// The state file of one module: its lists with their checkpoints, the baseline and the journal.
///
/// Callable from any thread. Changes are serialised; reads run beside the writer on a connection
/// of their own and see whole transactions. Compression is the caller's (`compress`), so that it
/// spreads over the threads of a stage.
///
/// Every call throws a `module` failure when the file turns out damaged, `temporary` when the disk
/// is full or another process holds the file for long.
package final class ModuleState: Sendable {
    package let path: String
    package let module: String
    let file: StateFile
    private let writer: DatabaseQueue
    /// How many chunks this process knows of in the lists that it has opened: more means that
    /// another one writes as well.
    private let known = Mutex<[ListKey: Int]>([:])
    private let reader: DatabaseQueue

    /// The longest text of a chunk in bytes; a unit alone may be 64 MiB.
    package static let chunkLimit = 256 << 20

    /// Opens the state of `module` at `path`, created if nothing is there.
    ///
    /// Throws `module` for a file that is damaged, empty, of another program, module or newer
    /// version; it never starts from zero in place of one.
    package init(path: String, module: String) throws(Failure) {
        self.path = path
        self.module = module
        file = StateFile(kind: ModuleStateSchema.kind(module: module), path: path)
        writer = try file.open { try MetaRow(module: module).save($0) }
        do {
            reader = try file.connect(readOnly: true)
        } catch {
            throw file.failure(error)
        }
        let owner = try read { try MetaRow($0).module }
        guard owner == module else {
            throw Failure(
                .module, "state file \(path) cannot be used for module \(module)",
                cause: "it is the one of module \(owner)", hint: file.kind.hint)
        }
    }

    deinit {
        // The reader first: only a connection that may write can take in the journal at the end.
        try? reader.close()
        try? writer.close()
    }

    /// Closes the file; further calls fail.
    package func close() throws(Failure) {
        do {
            try reader.close()
            try writer.close()
        } catch {
            throw file.failure(error)
        }
    }

    /// Remembers how far a list has come by this process's own doing.
    func remember(_ info: ListInfo) {
        known.withLock { $0[info.key] = info.chunks }
    }

    /// Throws `locked` when another process has continued a list since this one last did.
    func checkSoleWriter(_ info: ListInfo) throws(Failure) {
        guard let chunks = known.withLock({ $0[info.key] }), chunks != info.chunks else { return }
        throw Failure(
            .locked, "list \(info.key) of module \(module) is written by another process",
            cause: "it has \(info.chunks) chunks, this process knows of \(chunks)",
            hint: "The work goes on from the checkpoint when it is opened again")
    }

    /// Runs one transaction that changes something.
    func write<T>(_ body: (Database) throws -> T) throws(Failure) -> T {
        do {
            return try writer.write(body)
        } catch {
            throw file.failure(error)
        }
    }

    /// Runs one transaction that only reads.
    func read<T>(_ body: (Database) throws -> T) throws(Failure) -> T {
        do {
            return try reader.read(body)
        } catch {
            throw file.failure(error)
        }
    }
}
