internal import ContentStore
internal import Dispatcher
internal import Platform

/// The mirrors of the configured store.
enum StoreMirrors {
    /// What bringing one mirror up to date came to.
    struct Report {
        var record: MirrorRecord
        var result: MirrorResult?
        var failure: Failure?

        var isComplete: Bool { failure == nil && result?.isComplete ?? false }

        /// One line for people.
        var text: String {
            let name = "mirror \(record.location)"
            if let failure { return "\(name) was not brought up to date: \(failure)" }
            guard let result else { return name }
            let total = result.copied.total
            var text = "\(name): "
            text +=
                total.objects == 0
                ? "nothing to copy"
                : "\(Format.count(Int64(total.objects))) objects copied, "
                    + Format.bytes(Int64(clamping: total.bytes))
            if result.fromOthers > 0 {
                text +=
                    ", \(result.fromOthers) of them from other mirrors, because the store's own "
                    + "are damaged or gone"
            }
            if result.betterHere > 0 {
                text += ", \(result.betterHere) are good here and damaged in the store"
            }
            if result.lostCount > 0 {
                text += ", \(result.lostCount) cannot be copied: no place has them good"
            }
            return text
        }
    }

    /// The folder of what is remembered of mirrors.
    static func folder(_ configuration: Configuration) -> String {
        "\(configuration.storeState)/mirrors"
    }

    /// What is remembered of each configured mirror.
    static func records(_ configuration: Configuration) -> [MirrorRecord] {
        configuration.store.mirrors.map { record($0, configuration) }
    }

    /// What is remembered of the mirror at `url`, under its name without secrets.
    static func record(_ url: String, _ configuration: Configuration) -> MirrorRecord {
        MirrorRecord.load(name(url, configuration), in: folder(configuration))
    }

    private static func name(_ url: String, _ configuration: Configuration) -> String {
        // What the configuration has was parsed when it was read.
        (try? BackendURL.parse(url, in: configuration.folder).description) ?? "mirror"
    }

    /// The mirrors that can be opened, for reading what the store cannot give.
    static func reachable(_ configuration: Configuration) -> [any Backend] {
        configuration.store.mirrors.compactMap { try? open($0, configuration, creating: false) }
    }

    /// The mirrors, for what has to happen on all of them.
    ///
    /// - Throws: when one of them cannot be opened: nobody knows then what it has.
    static func all(_ configuration: Configuration) throws(Failure) -> [any Backend] {
        var mirrors: [any Backend] = []
        for url in configuration.store.mirrors {
            mirrors.append(try open(url, configuration, creating: false))
        }
        return mirrors
    }

    /// A mirror opened as a store of its own, with a local index of its own; `others` have its
    /// objects too.
    static func store(
        _ mirror: any Backend, _ others: [any Backend], _ configuration: Configuration,
        _ password: [UInt8]
    ) throws(Failure) -> Store {
        try Store(
            backend: mirror, mirrors: others, password: password,
            stateDirectory: MirrorRecord.path(mirror.location, in: folder(configuration)),
            fallbacks: ReadFallbacks(tell: { Print.note($0) }))
    }

    private static func open(
        _ url: String, _ configuration: Configuration, creating: Bool
    ) throws(Failure) -> any Backend {
        // One that was there before and is gone is a disk that is not mounted.
        let isKnown = record(url, configuration).isMade == true
        return try StoreAccess.place(
            url, configuration, creating: creating && !isKnown, what: "mirror",
            hint: isKnown
                ? "It was there before: is its disk mounted?" : "`cistern store mirror` makes it")
    }

    /// Copies to each of the mirrors (or `only` one) what it lacks; one that fails does not stop
    /// the others.
    ///
    /// - Throws: when the store itself cannot be opened, or a stop was asked for.
    static func bringUpToDate(
        _ configuration: Configuration, only: String? = nil,
        progress: @escaping (ObjectCount) -> Void = { _ in }
    ) throws(Failure) -> [Report] {
        try forEach(configuration, only) { url, store, session throws(Failure) in
            let turn = try turn(url, configuration)
            defer { withExtendedLifetime(turn) {} }
            var record = record(url, configuration)
            let started = SystemClock().now().seconds
            do throws(Failure) {
                let target = try open(url, configuration, creating: true)
                let copier = MirrorCopier(store: store, target: target, progress: progress)
                try copier.prepare()
                record.isMade = true
                try record.save(in: folder(configuration))
                try store.lock(session: session, mirror: target)
                    .holding { () throws(Failure) in try copier.copy() }
                record.note(copier.outcome, at: started)
                try record.save(in: folder(configuration))
                return Report(record: record, result: copier.outcome)
            } catch {
                guard error.kind != .cancelled else { throw error }
                record.note(error, at: started)
                try record.save(in: folder(configuration))
                return Report(record: record, failure: error)
            }
        }
    }

    /// What each of the mirrors lacks now, by listing it and the store; nothing is changed.
    static func lags(
        _ configuration: Configuration, only: String? = nil
    ) throws(Failure) -> [(record: MirrorRecord, lag: MirrorLag?, failure: Failure?)] {
        var lags: [(record: MirrorRecord, lag: MirrorLag?, failure: Failure?)] = []
        _ = try forEach(configuration, only) { url, store, _ throws(Failure) in
            let record = record(url, configuration)
            do throws(Failure) {
                let target = try open(url, configuration, creating: false)
                lags.append((record, try MirrorCopier(store: store, target: target).lag(), nil))
            } catch {
                lags.append((record, nil, error))
            }
            return Report(record: record)
        }
        return lags
    }

    /// One process at a time copies to a mirror; another finds little to do after it.
    private static func turn(
        _ url: String, _ configuration: Configuration
    ) throws(Failure) -> FileLock {
        let folder = folder(configuration)
        let name = name(url, configuration)
        do throws(SystemError) {
            try AtomicFile.makeDirectories(folder)
            return try FileLock(MirrorRecord.path(name, in: folder) + ".lock")
        } catch {
            guard error.code == Errno.again else {
                throw Failure(.temporary, "mirror \(name) cannot be locked", cause: "\(error)")
            }
            throw Failure(.locked, "another process copies to the mirror \(name)")
        }
    }

    /// Opens and locks the store, and calls `body` for each mirror.
    private static func forEach(
        _ configuration: Configuration, _ only: String?,
        _ body: (String, Store, _ session: String) throws(Failure) -> Report
    ) throws(Failure) -> [Report] {
        let urls = try selected(configuration, only)
        let store = try StoreAccess.open(
            configuration, backend: try StoreAccess.backend(configuration, creating: false),
            password: try StoreAccess.password(configuration, creating: false))
        let session = StoreSession.newName()
        return try store.lock(session: session).holding { () throws(Failure) in
            var reports: [Report] = []
            for url in urls {
                do throws(Failure) {
                    reports.append(try body(url, store, session))
                } catch {
                    guard error.kind != .cancelled else { throw error }
                    reports.append(Report(record: record(url, configuration), failure: error))
                }
            }
            return reports
        }
    }

    private static func selected(
        _ configuration: Configuration, _ only: String?
    ) throws(Failure) -> [String] {
        let all = configuration.store.mirrors
        guard let only else { return all }
        let url = try BackendURL.parse(only, in: configuration.folder)
        let wanted = url.description
        // The place that the configuration names has a module's mirror below it.
        let below = configuration.store.module.map { url.below($0).description }
        let found = all.first { [wanted, below].contains(name($0, configuration)) }
        guard let found else {
            throw Failure(
                .usage, "there is no mirror \(wanted) in \(configuration.file)",
                hint: all.isEmpty
                    ? "`store: {mirrors: [URL]}` names mirrors"
                    : "There are: "
                        + all.map { name($0, configuration) }.joined(separator: ", "))
        }
        return [found]
    }

    /// For people: up to date, or since when it lags and why.
    static func state(_ record: MirrorRecord) -> String {
        func time(_ seconds: Int64) -> String { Format.time(Timestamp(seconds: seconds)) }
        guard record.attempted != nil else { return "not made yet: `cistern store mirror`" }
        var text = record.completed.map { "complete as of \(time($0))" } ?? "never complete yet"
        if let lagging = record.lagging {
            text += ", lags since \(time(lagging))"
            if let objects = record.missingObjects, objects > 0 {
                text +=
                    ", lacks \(Format.count(Int64(objects))) objects"
                    + (record.missingBytes.map { ", \(Format.bytes(Int64(clamping: $0)))" } ?? "")
            }
        }
        if let failure = record.failure { text += " (\(failure))" }
        return text
    }
}
