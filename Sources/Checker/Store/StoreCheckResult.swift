package import Platform

/// One thing that a check of the store found.
package struct StoreProblem: Sendable, Equatable {
    /// What the problem is about.
    package enum Kind: String, Sendable {
        case config, key, index, pack, blob, tree, snapshot
        /// A file in a snapshot whose content the store has not.
        case file
        /// The local copy of the index, not the store.
        case local
    }

    package var kind: Kind
    /// The object's id; nil for the local index.
    package var id: Digest?
    /// What is wrong, for people.
    package var message: String
    /// The first snapshot that was seen to need the object.
    package var snapshot: Digest?
    /// Where the object is in that snapshot.
    package var path: [UInt8]?
    /// Worth knowing, but no damage.
    package var isNote: Bool
    /// Since when it is known.
    package var since: Timestamp?
    /// The place, when it is not the store's first.
    package var place: String?

    package init(
        _ kind: Kind, _ id: Digest?, _ message: String, snapshot: Digest? = nil,
        path: [UInt8]? = nil, isNote: Bool = false
    ) {
        self.kind = kind
        self.id = id
        self.message = message
        self.snapshot = snapshot
        self.path = path
        self.isNote = isNote
    }
}

/// What a check of the store read and found.
package struct StoreCheckResult: Sendable, Equatable {
    package var indexFiles = 0
    package var packs = 0
    package var blobs = 0
    package var snapshots = 0
    package var trees = 0
    package var files = 0
    /// Packs that no index file lists: what a writer left that was killed, or one at work.
    package var unlistedPacks = 0
    /// What was read of the packs.
    package var packsRead = 0
    package var blobsRead = 0
    package var bytesRead: UInt64 = 0
    /// What was read at each place, for levels that read objects.
    package var places: [PlaceReport] = []
    /// Trees were not all looked at, because the time was over.
    package var treesStopped = false
    /// Everything that is damaged; notes do not count.
    package var problems = 0

    package init() {}

    /// Whether nothing is damaged.
    package var isHealthy: Bool { problems == 0 }
}

/// Where a check tells what it finds, one thing after another, from whatever thread.
final class StoreProblems: Sendable {
    private struct State {
        var count = 0
        var named: Set<Digest> = []
        /// Damage that only trees and files show.
        var hitsContent = false
    }

    /// How many objects are remembered as told.
    private static let namedLimit = 1 << 20

    private let state = Monitor(State())
    private let report: @Sendable (StoreProblem) -> Void

    init(_ report: @escaping @Sendable (StoreProblem) -> Void) { self.report = report }

    func add(_ problem: StoreProblem) {
        state.with { state in
            if !problem.isNote {
                state.count += 1
                if problem.kind == .file || problem.kind == .tree { state.hitsContent = true }
            }
            if !problem.isNote, let id = problem.id, state.named.count < StoreProblems.namedLimit {
                state.named.insert(id)
            }
            report(problem)
        }
    }

    /// Whether something was told of the object.
    func hasNamed(_ id: Digest?) -> Bool {
        guard let id else { return false }
        return state.with { $0.named.contains(id) }
    }

    var count: Int { state.with { $0.count } }

    /// Whether a tree or a file is not whole.
    var hitsContent: Bool { state.with { $0.hitsContent } }
}
