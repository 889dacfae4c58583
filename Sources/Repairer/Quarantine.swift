internal import Manifest
package import Platform

/// Keeps what a repair replaces: `<state>/quarantine/<module>/<time>-<random>` with the damaged
/// bytes, and beside it `.json` with the path and the reason.
///
/// Nothing of it is ever deleted by Cistern.
package struct Quarantine: Sendable {
    private let folder: String
    private let clock: any WallClock

    /// The quarantine of `module` in the state folder.
    package init(stateDirectory: String, module: String, clock: any WallClock = SystemClock()) {
        folder = "\(stateDirectory)/quarantine/\(module)"
        self.clock = clock
    }

    /// Keeps the file `name` of `directory`, which stays where it is.
    ///
    /// A further hard link where that is possible, else a copy of every block that can be read.
    package func keep(
        _ name: [UInt8], in directory: OpenDirectory, path: [UInt8], reason: String
    ) throws(SystemError) {
        try AtomicFile.makeDirectories(folder)
        let target = try Descriptor.open(folder, [.readOnly, .directory])
        let random = String(UInt32.random(in: .min ... .max), radix: 16)
        let kept = Array("\(clock.now().seconds)-\(random)".utf8)
        var note: [UInt8] = Array(#"{"path":"#.utf8)
        appendJSONString(printable(path), to: &note)
        note += Array(#","reason":"#.utf8)
        appendJSONString(reason, to: &note)
        note += Array("}\n".utf8)
        try AtomicFile.write(note.span, to: kept + Array(".json".utf8), in: target)
        do throws(SystemError) {
            try directory.descriptor.link(name, to: kept, in: target)
        } catch {
            guard [Errno.crossDevice, Errno.permission, Errno.tooManyLinks].contains(error.code)
            else { throw error }
            try copy(name, in: directory, to: kept, in: target)
        }
        try target.sync()
    }

    private func copy(
        _ name: [UInt8], in directory: OpenDirectory, to kept: [UInt8],
        in target: borrowing Descriptor
    ) throws(SystemError) {
        let source = try directory.descriptor.openForReading(name)
        let copy = try target.open(kept, [.writeOnly, .create, .exclusive])
        let size = try source.metadata().size
        let block: UInt64 = 64 << 10
        var buffer = [UInt8](repeating: 0, count: Int(block))
        var offset: UInt64 = 0
        while offset < size {
            do throws(SystemError) {
                var span = buffer.mutableSpan
                let n = try source.read(into: &span, at: offset)
                try copy.write(buffer.span.extracting(..<n), at: offset)
            } catch {
                // What the disk cannot give is a hole in the copy.
                guard error.call == "pread", error.code == Errno.inputOutput else { throw error }
            }
            offset += block
        }
        try copy.truncate(to: size)
        try copy.sync()
        try copy.close()
    }
}
