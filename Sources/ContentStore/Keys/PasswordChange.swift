package import Platform

/// The change of a store's password, and of the file that holds it.
///
/// At every moment the file's password opens the store, and a change that was cut off is gone on
/// with by the next one:
/// 1. `FILE.new`: the new password.
/// 2. A key for it in the store, opened once.
/// 3. `FILE.keys`: which key is to go, and for which one.
/// 4. `FILE.new` takes the place of `FILE`.
/// 5. The old key goes, then the note of it.
package struct PasswordChange {
    /// What a change did.
    package enum Outcome: Sendable, Equatable {
        case changed(from: Digest, to: Digest)
        /// An earlier change was cut off after the new password held, and has its end now.
        case finished(key: Digest)
    }

    private let store: Store
    private let file: String
    private let clock: any WallClock

    private var newFile: String { file + ".new" }
    private var noteFile: String { file + ".keys" }

    /// A change of the password in `file`, of mode 0600, which opens `store`.
    ///
    /// The caller holds an exclusive lock on the store.
    package init(
        store: Store, file: String, clock: any WallClock = SystemClock()
    ) {
        self.store = store
        // A symlink stays one: what it points at is what changes.
        self.file = Path.canonical(file)
        self.clock = clock
    }

    /// Changes the password to `password`, nil for a random one.
    ///
    /// - Parameter cost: for a password that is given; a random one needs none.
    package func run(
        to password: [UInt8]?, cost: KeyFile.Cost, randomCost: KeyFile.Cost
    ) throws(Failure) -> Outcome {
        try checkOwner()
        let inUse = try PasswordFile.read(file)
        let keys = try StoreKeys(of: store, password: inUse)
        if let done = try finishEarlier(keys, inUse, wanted: password) { return done }
        guard password != inUse else {
            throw Failure(.usage, "the new password is the old one")
        }
        let new = try begin(keys, wanted: password)
        let key: Digest
        if let found = try keys.find(new) {
            key = found
        } else {
            key = try keys.add(
                new, cost: password == nil ? randomCost : cost, created: clock.now(),
                host: ProcessIdentity.hostName, user: "cistern")
        }
        guard key != keys.current else { throw Failure(.usage, "the new password is the old one") }
        CrashPoint.reached("passwd-key-added")
        try changing { () throws(SystemError) in
            let note = Array("\(keys.current)\(key)\n".utf8)
            try AtomicFile.write(note.span, to: noteFile, mode: 0o600)
            CrashPoint.reached("passwd-keys-noted")
            try AtomicFile.rename(newFile, to: file)
            CrashPoint.reached("passwd-file-swapped")
        }
        try StoreKeys(of: store, password: new).remove(keys.current)
        try changing { () throws(SystemError) in try AtomicFile.remove(noteFile) }
        return .changed(from: keys.current, to: key)
    }

    /// Removes the key that a change left which was cut off after the file was swapped.
    ///
    /// - Returns: nil when there is none, or when another password is wanted than the file has now.
    private func finishEarlier(
        _ keys: StoreKeys, _ inUse: [UInt8], wanted: [UInt8]?
    ) throws(Failure) -> Outcome? {
        guard Path.kind(newFile) == nil, Path.kind(noteFile) != nil else { return nil }
        let line = try note()
        guard line.count >= 128, let old = Digest(hex: line.span.extracting(..<64)),
            let new = Digest(hex: line.span.extracting(64..<128))
        else {
            throw Failure(
                .usage, "\(noteFile) is damaged",
                hint: "It names the key that a password change has to remove: see "
                    + "`cistern store key list`, remove that key, and then this file.")
        }
        guard new == keys.current else {
            // The file has another password by now: the note is nobody's any more.
            try changing { () throws(SystemError) in try AtomicFile.remove(noteFile) }
            return nil
        }
        try keys.remove(old)
        try changing { () throws(SystemError) in try AtomicFile.remove(noteFile) }
        return wanted == nil || wanted == inUse ? .finished(key: keys.current) : nil
    }

    /// Writes the new password down before anything is opened by it, and returns it.
    private func begin(_ keys: StoreKeys, wanted: [UInt8]?) throws(Failure) -> [UInt8] {
        if Path.kind(newFile) != nil {
            // Of a change that was cut off before the swap.
            let begun = try PasswordFile.read(newFile)
            if wanted == nil || wanted == begun { return begun }
            if let key = try keys.find(begun), key != keys.current { try keys.remove(key) }
            try changing { () throws(SystemError) in try AtomicFile.remove(newFile) }
        }
        let password = wanted ?? PasswordFile.random()
        guard !password.contains(0x0A), !password.isEmpty else {
            throw Failure(.usage, "a password is one line that is not empty")
        }
        try changing { () throws(SystemError) in
            let line = password + [0x0A]
            try AtomicFile.write(line.span, to: newFile, mode: 0o600, replacing: false)
            CrashPoint.reached("passwd-new-written")
        }
        return password
    }

    /// Refuses a file of somebody else, who could not read what replaces it.
    private func checkOwner() throws(Failure) {
        let metadata: FileMetadata
        do throws(SystemError) {
            metadata = try Descriptor.open(file, [.readOnly, .noBlock]).metadata()
        } catch {
            throw Failure(.usage, "password file \(file) cannot be read", cause: error.reason)
        }
        guard metadata.uid == effectiveUserID else {
            throw Failure(
                .usage, "password file \(file) belongs to user \(metadata.uid)",
                hint: "Run this as that user: the file is replaced by one of its own.")
        }
    }

    private func note() throws(Failure) -> [UInt8] {
        do throws(SystemError) {
            return try AtomicFile.read(noteFile, limit: 4096)
        } catch {
            throw Failure(.usage, "\(noteFile) cannot be read", cause: error.reason)
        }
    }

    private func changing(_ body: () throws(SystemError) -> Void) throws(Failure) {
        do throws(SystemError) {
            try body()
        } catch {
            throw Failure(
                .module, "password file \(file) cannot be changed", cause: "\(error)",
                hint: "The old password still holds. Run again.")
        }
    }
}
