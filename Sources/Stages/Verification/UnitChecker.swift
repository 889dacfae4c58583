package import ContentStore
package import Manifest
package import Platform

/// Compares one unit with its last snapshot and the store: the rules of the check, used by the
/// check stage and again by repair, whose result is a new check.
///
/// Not for use by two threads at once.
package final class UnitChecker {
    private let files: ModuleFiles
    private let copies: CopyChecker
    private let verifier: ContentVerifier
    private let verify: Bool

    /// - Parameters:
    ///   - verify: read and hash local files and stored copies.
    ///   - unchangedStore: see `CopyChecker`.
    package init(root: String, store: Store, verify: Bool, unchangedStore: Bool) throws(Failure) {
        files = try ModuleFiles(root: root)
        copies = CopyChecker(store: store, verify: verify, unchanged: unchangedStore)
        verifier = ContentVerifier(store: store)
        self.verify = verify
    }

    /// Checks a unit of the module.
    ///
    /// A file that changed under the check is given back with its new metadata.
    package func check(_ unit: Unit, stored: Unit?) throws(Failure) -> Unit {
        var unit = unit
        if let error = unit.error {
            unit.check = try unreadable(error, stored)
        } else if let stored {
            unit.check = try compare(&unit, stored)
        } else {
            unit.check = UnitChecker.asFound(.new)
        }
        return unit
    }

    /// Checks what only the last snapshot has.
    ///
    /// - Parameter unknown: its directory could not be read, so it may still be there.
    package func check(missing stored: Unit, unknown: Bool) throws(Failure) -> Unit {
        let copies = try storedCopies(stored)
        var unit = stored
        unit.content = nil
        unit.check = CheckResult(
            state: unknown ? .unreadable : .removed, healthy: !unknown && copies.complete,
            recoverable: copies.good > 0 || copies.expected == 0, verified: false,
            copiesExpected: copies.expected, copiesGood: copies.good,
            copiesCorrupt: copies.corrupt,
            problems: unknown
                ? ["its directory could not be read"] : UnitChecker.problems(copies))
        return unit
    }

    private static func asFound(_ state: CheckResult.State) -> CheckResult {
        CheckResult(state: state, healthy: true, recoverable: true, verified: false)
    }

    private func unreadable(_ error: UnitError, _ stored: Unit?) throws(Failure) -> CheckResult {
        let copies = try stored.map { (stored) throws(Failure) in try storedCopies(stored) }
        return CheckResult(
            state: .unreadable, healthy: false,
            recoverable: copies.map { $0.good > 0 || $0.expected == 0 } ?? false, verified: false,
            copiesExpected: copies?.expected ?? 0, copiesGood: copies?.good ?? 0,
            copiesCorrupt: copies?.corrupt ?? 0,
            problems: ["\(error.call): \(Errno.name(error.code)): \(Errno.text(error.code))"]
                + UnitChecker.problems(copies ?? Copies()))
    }

    private func compare(_ unit: inout Unit, _ stored: Unit) throws(Failure) -> CheckResult {
        guard unit.isUnchanged(since: stored) else {
            var result = UnitChecker.asFound(.changed)
            if unit.metadata.size != stored.metadata.size,
                unit.metadata.mtime == stored.metadata.mtime,
                unit.metadata.ctime == stored.metadata.ctime
            {
                result.problems = ["the size differs although no time does"]
            }
            return result
        }
        guard unit.metadata.kind == .file, let ids = stored.content?.ids, !ids.isEmpty else {
            return CheckResult(
                state: .intact, healthy: true, recoverable: true, verified: verify)
        }
        let copies = try copies.copies(of: ids)
        var result = CheckResult(
            state: .intact, healthy: copies.complete, recoverable: true, verified: verify,
            copiesExpected: copies.expected, copiesGood: copies.good,
            copiesCorrupt: copies.corrupt, problems: UnitChecker.problems(copies))
        guard verify else { return result }
        switch try verifyContent(&unit, ids, retries: 1) {
        case .matches where unit.isUnchanged(since: stored): break
        case .differs where unit.isUnchanged(since: stored):
            result.state = .rotted
            result.healthy = false
            result.recoverable = copies.good > 0
            result.problems.insert("the local file's content is not what was stored", at: 0)
        case .changed, .matches, .differs:
            // Also when the second reading was undisturbed: it was of somebody's new work.
            result = UnitChecker.asFound(.changed)
            result.problems = ["changed while it was read"]
        case .failed(let error):
            unit.error = UnitError(error)
            result.state = .unreadable
            result.healthy = false
            result.verified = false
            result.recoverable = copies.good > 0
            result.problems.insert("\(error.call): \(error.reason)", at: 0)
        }
        return result
    }

    private enum Verdict {
        case matches, differs, changed
        case failed(SystemError)
    }

    /// Reads the file.
    ///
    /// When its metadata moves under the reading it is read once more, and then reported as
    /// changed, never as rotted.
    private func verifyContent(
        _ unit: inout Unit, _ ids: [Digest], retries: Int
    ) throws(Failure) -> Verdict {
        do {
            let file = try files.open(unit.path)
            let before = file.metadata
            let matches = try verifier.matches(file.descriptor, ids: ids)
            let after = try file.descriptor.metadata()
            if before == after && UnitChecker.isSame(after, unit.metadata) {
                return matches ? .matches : .differs
            }
            let changed = !UnitChecker.isSame(after, unit.metadata)
            unit.metadata = after
            if changed && retries == 0 || changed && before == after { return .changed }
            return retries == 0 ? .changed : try verifyContent(&unit, ids, retries: retries - 1)
        } catch let error as SystemError {
            return UnitChecker.isReplaced(error) ? .changed : .failed(error)
        } catch {
            throw Failure(
                .store, "file \(printable(unit.path)) cannot be checked", wrapping: error)
        }
    }

    /// Whether an error says that the path leads to no file any more: gone since the walk, or
    /// something else in its place or in that of a directory above it.
    private static func isReplaced(_ error: SystemError) -> Bool {
        [
            Errno.noEntry, Errno.notDirectory, Errno.loop, Errno.invalid, Errno.noDevice,
        ].contains(error.code)
    }

    private static func isSame(_ a: FileMetadata, _ b: FileMetadata) -> Bool {
        a.size == b.size && a.mtime == b.mtime && a.ctime == b.ctime && a.inode == b.inode
    }

    private func storedCopies(_ stored: Unit) throws(Failure) -> Copies {
        guard stored.metadata.kind == .file, let ids = stored.content?.ids, !ids.isEmpty else {
            return Copies()
        }
        return try copies.copies(of: ids)
    }

    private static func problems(_ copies: Copies) -> [String] {
        var problems: [String] = []
        let missing = copies.expected - copies.good - copies.corrupt
        if copies.corrupt > 0 { problems.append("the store's copy is damaged") }
        if missing > 0 { problems.append("the store's copy is missing") }
        return problems
    }
}
