package import Platform

/// Removes a whole repository from one place: all of its objects, their old versions, and what
/// writers left half written.
///
/// What is left after a crash is a repository for as long as it has content: snapshots go first and
/// keys last. Nothing but objects of a repository is removed, and nothing outside of the place.
package struct RepositoryRemoval {
    /// Objects that are removed with one call.
    private static let batch = 500

    private let place: any Backend

    package init(_ place: any Backend) { self.place = place }

    /// Whether the place has any object of a repository but for its configuration.
    package static func hasObjects(
        _ place: any Backend, _ kinds: [ObjectKind] = ObjectKind.allCases
    ) throws(Failure) -> Bool {
        for kind in kinds {
            var found = false
            try place.failing { place throws(BackendError) in
                try place.list(kind) { _, _ in found = true }
            }
            if found { return true }
        }
        return false
    }

    /// Removes all objects but the locks: the caller's is one of them.
    ///
    /// - Parameter confirmLock: throws when others may write to the place; it is asked before each
    ///   removal.
    package func removeObjects(
        confirmLock: () throws(Failure) -> Void
    ) throws(Failure) {
        for kind in [ObjectKind.snapshot, .index, .pack] { try remove(kind, confirmLock) }
        try confirmLock()
        try place.failing { place throws(BackendError) in try place.remove(ObjectKey.config) }
        CrashPoint.reached("removal-config-removed")
        try remove(.key, confirmLock)
    }

    /// Removes what is left when the lock was given back: locks, what is half written, and old
    /// versions.
    ///
    /// Without a configuration and keys nobody takes a lock any more.
    package func removeRest(now: Timestamp) throws(Failure) {
        try remove(.lock) {}
        // What is half written is nobody's who is still writing.
        let later = Timestamp(seconds: now.seconds + 86400)
        _ = try place.failing { place throws(BackendError) in
            try place.removeLeftovers(olderThan: later)
        }
        guard let versioned = try place.askedForVersions() else { return }
        for kind in ObjectKind.allCases {
            var rest = try RepositoryRemoval.versions(versioned, kind)[...]
            while !rest.isEmpty {
                try Interruption.check()
                let batch = Array(rest.prefix(RepositoryRemoval.batch))
                rest = rest.dropFirst(batch.count)
                try versioned.failing { place throws(BackendError) in
                    try place.removeObjectVersions(batch)
                }
                CrashPoint.reached("removal-versions-removed")
            }
        }
    }

    /// What is left by a new listing, for people; nothing when the repository is gone.
    ///
    /// - Parameter summary: takes whether versions were looked at.
    package func remains(
        _ summary: inout ObliterationResult.Place
    ) throws(Failure) -> [String] {
        var problems: [String] = []
        let location = place.location
        for kind in ObjectKind.allCases where kind != .config {
            var count = 0
            try place.failing { place throws(BackendError) in
                try place.list(kind) { _, _ in count += 1 }
            }
            if count > 0 {
                problems.append("\(count) objects are still in \(kind.folder) of \(location)")
            }
        }
        let config = try place.failing { place throws(BackendError) in
            try place.size(ObjectKey.config)
        }
        if config != nil { problems.append("the configuration is still at \(location)") }
        guard let versioned = try place.askedForVersions() else {
            summary.versionsUnknown = place.versioned != nil
            return problems
        }
        summary.versionsListed = true
        var versions = 0
        for kind in ObjectKind.allCases {
            versions += try RepositoryRemoval.versions(versioned, kind).count
        }
        if versions > 0 { problems.append("\(versions) old versions are left at \(location)") }
        return problems
    }

    private func remove(
        _ kind: ObjectKind, _ confirmLock: () throws(Failure) -> Void
    ) throws(Failure) {
        var ids: [Digest] = []
        try place.failing { place throws(BackendError) in
            try place.list(kind) { id, _ in ids.append(id) }
        }
        var rest = ids[...]
        while !rest.isEmpty {
            try Interruption.check()
            try confirmLock()
            let batch = rest.prefix(RepositoryRemoval.batch).map { ObjectKey(kind, $0) }
            rest = rest.dropFirst(batch.count)
            try place.failing { place throws(BackendError) in try place.remove(batch) }
            CrashPoint.reached("removal-objects-removed")
        }
    }

    private static func versions(
        _ place: any VersionedBackend, _ kind: ObjectKind
    ) throws(Failure) -> [ObjectVersion] {
        var found: [ObjectVersion] = []
        try place.failing { place throws(BackendError) in
            try place.objectVersions(kind) { found.append($0) }
        }
        return found
    }
}

extension FileBackend {
    /// Removes the folders of a repository in `path` that has no objects any more, and `path`
    /// itself.
    ///
    /// - Returns: the folders that stay, because something else is in them.
    package static func removeFolders(_ path: String) throws(Failure) -> [String] {
        do throws(SystemError) {
            let root = try Descriptor.open(path, [.readOnly, .directory])
            for byte in 0...255 {
                let name = (byte < 16 ? "0" : "") + String(byte, radix: 16)
                _ = try removeFolder("data/\(name)", in: root)
            }
            var left: [String] = []
            for kind in ObjectKind.allCases where kind != .config {
                if try !removeFolder(kind.folder, in: root) { left.append(kind.folder) }
            }
            let above = try Descriptor.open(Path.folder(of: path), [.readOnly, .directory])
            if left.isEmpty, try !removeFolder(Path.name(of: path), in: above) { left.append("") }
            try above.sync()
            return left.map { $0.isEmpty ? path : "\(path)/\($0)" }
        } catch {
            if error.code == Errno.noEntry { return [] }
            throw BackendError.permanent(error).failure(at: "file:\(path)")
        }
    }

    /// False when it is not empty; one that is not there is a success.
    private static func removeFolder(
        _ name: String, in parent: borrowing Descriptor
    ) throws(SystemError) -> Bool {
        do throws(SystemError) {
            try parent.removeDirectory(Array(name.utf8))
            return true
        } catch {
            switch error.code {
            case Errno.noEntry: return true
            case Errno.notEmpty, Errno.exists: return false
            default: throw error
            }
        }
    }
}
