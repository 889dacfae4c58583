internal import FoundationEssentials
package import Platform

/// The file in which a tool over streams keeps how far it came (`--checkpoint FILE`).
///
/// When the output is a regular file it is cut back to the checkpoint on resuming, so that no unit
/// is in it twice; after a pipe at most the last batch is.
package final class StreamCheckpoint: Sendable {
    /// How far a tool came.
    package struct Position: Codable, Sendable, Equatable {
        /// Batches of the input that are done.
        package var batches = 0
        /// Where in the output file the next unit goes.
        package var outputBytes: UInt64 = 0
        /// The output file.
        package var outputInode: UInt64 = 0
        package var outputDevice: UInt64 = 0
        /// The last path that is done.
        package var lastPath: [UInt8]?
        /// The outermost directory at or above `lastPath` that could not be read.
        package var unreadable: [UInt8]?
        package var statistics: [UInt8] = []

        package init() {}
    }

    private struct Contents: Codable {
        var version = 1
        /// The stage and its options: going on with others would join halves that do not fit.
        var definition: String
        var position: Position
    }

    package let path: String
    private let definition: String
    /// How far an earlier run came; the beginning when there was none.
    package let position: Position
    /// Whether the output is a regular file.
    package let outputIsFile: Bool

    /// Reads the checkpoint at `path`, if there is one.
    ///
    /// - Parameter output: what the output is: a file that was written to before is cut back to
    ///   the checkpoint; another one gets the rest.
    /// - Throws: a `usage` failure when the file is no checkpoint of this stage and these options
    ///   (it is never taken for a beginning), or when the output has lost what was written to it.
    package init(path: String, definition: String, output: FileMetadata) throws(Failure) {
        self.path = path
        self.definition = definition
        outputIsFile = output.kind == .file
        var position = try StreamCheckpoint.read(path, definition) ?? Position()
        if outputIsFile {
            let isSame =
                position.outputInode == output.inode && position.outputDevice == output.device
            guard !isSame || output.size >= position.outputBytes else {
                throw Failure(
                    .usage,
                    "the output has \(output.size) bytes, and checkpoint \(path) goes on behind "
                        + "\(position.outputBytes)",
                    hint: "Append to the output with >>, or remove the checkpoint to start from "
                        + "the beginning")
            }
            if !isSame { position.outputBytes = output.size }
            position.outputInode = output.inode
            position.outputDevice = output.device
        }
        self.position = position
    }

    private static func read(
        _ path: String, _ definition: String
    ) throws(Failure) -> Position? {
        let bytes: [UInt8]
        do {
            bytes = try AtomicFile.read(path)
        } catch {
            if error.code == Errno.noEntry { return nil }
            throw Failure(.usage, "checkpoint \(path) cannot be read", cause: "\(error)")
        }
        guard let contents = try? JSONDecoder().decode(Contents.self, from: Data(bytes)),
            contents.version == 1
        else {
            throw Failure(
                .usage, "\(path) is no checkpoint of this version of Cistern",
                hint: "Name another file, or remove it to start from the beginning")
        }
        guard contents.definition == definition else {
            throw Failure(
                .usage, "checkpoint \(path) was made by `\(contents.definition)`",
                hint: "Go on with that, or remove the file to start from the beginning")
        }
        return contents.position
    }

    /// Cuts the output back to the position, so that what was written behind it comes once.
    package func rewind(_ output: borrowing Descriptor) throws(Failure) {
        guard outputIsFile else { return }
        do throws(SystemError) {
            try output.truncate(to: position.outputBytes)
            try output.seek(to: position.outputBytes)
        } catch {
            throw Failure(.temporary, "the output cannot be cut back", cause: "\(error)")
        }
        // Also what is written before the first checkpoint has to be found again.
        try save(position)
    }

    /// Writes the position durably.
    func save(_ position: Position) throws(Failure) {
        do {
            let data = try JSONEncoder().encode(
                Contents(definition: definition, position: position))
            let bytes = [UInt8](data)
            try AtomicFile.write(bytes.span, to: path)
        } catch {
            throw Failure(.temporary, "checkpoint \(path) cannot be written", cause: "\(error)")
        }
    }

    /// Removes the file: the list is whole.
    func remove() throws(Failure) {
        do {
            try AtomicFile.remove(path)
        } catch {
            throw Failure(.temporary, "checkpoint \(path) cannot be removed", cause: "\(error)")
        }
    }
}
