package import ContentStore
internal import Platform

/// A place of a store and what checks know of it.
package struct StorePlace: Sendable {
    package var backend: any Backend
    package var state: ScrubState

    package init(_ backend: any Backend, _ state: ScrubState) {
        self.backend = backend
        self.state = state
    }
}

/// What a repair of the store may use and do.
package struct StoreRepairOptions: Sendable {
    /// Tell what would be done, and do nothing.
    package var dryRun: Bool
    /// Bring back keys and snapshots that have gone from the first place, too.
    package var restoresRemoved: Bool
    /// Directories of modules by their names: live files.
    package var modules: [String: String]
    /// Directories that may hold files of snapshots, at their paths or at ends of them.
    package var directories: [String]
    /// Other repositories that may have the content.
    package var sources: [Store]

    package init(
        dryRun: Bool = false, restoresRemoved: Bool = false, modules: [String: String] = [:],
        directories: [String] = [], sources: [Store] = []
    ) {
        self.dryRun = dryRun
        self.restoresRemoved = restoresRemoved
        self.modules = modules
        self.directories = directories
        self.sources = sources
    }
}

/// One thing that a repair of the store did, would do, or could not do.
package struct StoreRepairEvent: Sendable, Equatable {
    package enum Action: String, Sendable {
        /// The object was put back as it was, from another place.
        case copied
        /// Packs are listed in a new index file.
        case reindexed
        /// Blobs are in new packs.
        case stored
        /// The pack is not used any more: all that it held is elsewhere.
        case retired
        /// It stays as it is: nobody has a good copy.
        case left
    }

    package var action: Action
    package var key: ObjectKey
    /// Where the object is.
    package var place: String
    /// Who had the good copy.
    package var from: String?
    package var message: String
    /// Only a plan: nothing was done.
    package var isPlan: Bool
}

/// What a repair of the store came to.
package struct StoreRepairResult: Sendable, Equatable {
    package var copied = 0
    package var reindexed = 0
    /// Blobs that were given a new copy.
    package var stored = 0
    package var retired = 0
    /// Objects that could not be mended.
    package var left = 0

    package init() {}
}
