internal import Dispatcher
internal import Platform

/// What a module leaves in the state folder.
struct ModuleTraces {
    let module: String
    let configuration: Configuration

    private var stateFile: String { ModuleStates.path(module, configuration) }
    private var quarantine: String { "\(configuration.state)/quarantine/\(module)" }

    /// Where the note of an obliteration is kept until it is done: of the store, number 0, or of
    /// one of its mirrors.
    func notePath(_ place: Int) -> String {
        let folder = "\(configuration.state)/obliterating"
        return place == 0 ? "\(folder)/\(module).json" : "\(folder)/\(place)/\(module).json"
    }

    /// Where the receipt goes that is written at `time`.
    func receiptPath(_ time: Timestamp) -> String {
        "\(configuration.state)/obliterated/\(module)-\(time.seconds).json"
    }

    /// Whether there is anything.
    var exist: Bool {
        [stateFile, quarantine, notePath(0)].contains { Path.kind($0) != nil }
    }

    /// Removes what this host knows of the module's own store: indexes, records of mirrors, what
    /// repairs took out of it.
    func removeStoreState() throws(Failure) {
        let path = configuration.storeState
        guard configuration.store.module != nil, Path.kind(path) != nil else { return }
        do throws(SystemError) {
            let folder = OpenDirectory(
                try Descriptor.open(Path.folder(of: path), [.readOnly, .directory]))
            _ = try TreeRemoval.remove(Array(Path.name(of: path).utf8), in: folder)
        } catch {
            throw Failure(.module, "\(path) cannot be removed", cause: error.description)
        }
    }

    /// Removes the file with the password of the module's own store, durably, and what a change of
    /// it left.
    ///
    /// Of a symlink only the link goes: what it points at may open other stores as well.
    ///
    /// - Returns: nil when the password does not come from a file.
    func removePassword() throws(Failure) -> String? {
        guard configuration.store.module != nil,
            case .file(let path) = PasswordSource(configuration)
        else { return nil }
        guard Path.kind(Path.folder(of: path)) == .directory else { return path }
        do throws(SystemError) {
            for suffix in [".new", ".keys", ""] {
                try AtomicFile.remove(path + suffix)
                CrashPoint.reached("obliterate-password-removed")
            }
            try Descriptor.open(Path.folder(of: path), [.readOnly, .directory]).sync()
            return path
        } catch {
            throw Failure(
                .module, "password file \(path) cannot be removed", cause: error.description)
        }
    }

    /// Damaged packs that repairs took out of the store, of which nobody can tell what is in them.
    func quarantinedPacks() throws(Failure) -> [String] {
        let folder = "\(configuration.state)/quarantine/.store"
        return try names(in: folder) { $0.contains("-pack-") && !$0.hasSuffix(".json") }
            .map { "\(folder)/\($0)" }
    }

    /// The names in a folder that may not be there.
    private func names(
        in folder: String, where isWanted: (String) -> Bool
    ) throws(Failure) -> [String] {
        guard Path.kind(folder) != nil else { return [] }
        let names: [[UInt8]]
        do throws(SystemError) {
            names = try Descriptor.open(folder, [.readOnly, .directory]).names()
        } catch {
            throw Failure(.module, "\(folder) cannot be read", cause: error.description)
        }
        return names.map { String(decoding: $0, as: UTF8.self) }.filter(isWanted).sorted()
    }

    /// Removes the module's lists, checkpoints and journal, those that were put aside as damaged
    /// too, and its quarantine.
    ///
    /// The file of the module's lock stays: whoever waits for it holds it open.
    func remove() throws(Failure) {
        let aside = try names(in: Path.folder(of: stateFile)) {
            $0.hasPrefix(Path.name(of: stateFile) + ".damaged-")
        }
        do throws(SystemError) {
            for path in ["", "-wal", "-shm"].map({ stateFile + $0 })
                + aside.map({ "\(Path.folder(of: stateFile))/\($0)" })
            {
                if Path.kind(path) != nil { try AtomicFile.remove(path) }
                CrashPoint.reached("obliterate-state-removed")
            }
            if Path.kind(quarantine) != nil {
                let folder = OpenDirectory(
                    try Descriptor.open(Path.folder(of: quarantine), [.readOnly, .directory]))
                _ = try TreeRemoval.remove(Array(module.utf8), in: folder)
            }
        } catch {
            throw Failure(
                .module, "the state of module \(module) cannot be removed",
                cause: error.description)
        }
    }
}
