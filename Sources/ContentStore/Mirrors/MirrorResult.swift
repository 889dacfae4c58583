internal import Platform

/// Objects and the bytes they have.
package struct ObjectCount: Sendable, Equatable {
    package var objects: Int
    package var bytes: UInt64

    /// Counts nothing yet.
    package init(objects: Int = 0, bytes: UInt64 = 0) {
        self.objects = objects
        self.bytes = bytes
    }

    mutating func add(_ size: UInt64) {
        objects += 1
        bytes += size
    }

    mutating func remove(_ size: UInt64) {
        objects -= 1
        bytes -= min(bytes, size)
    }

    static func + (x: ObjectCount, y: ObjectCount) -> ObjectCount {
        ObjectCount(objects: x.objects + y.objects, bytes: x.bytes + y.bytes)
    }
}

/// What a mirror lacks of what the store has.
package struct MirrorLag: Sendable, Equatable {
    package var keys = ObjectCount()
    package var packs = ObjectCount()
    package var indexFiles = ObjectCount()
    package var snapshots = ObjectCount()

    package init() {}

    /// All kinds together.
    package var total: ObjectCount { keys + packs + indexFiles + snapshots }

    subscript(_ kind: ObjectKind) -> ObjectCount {
        get {
            switch kind {
            case .key: keys
            case .pack: packs
            case .index: indexFiles
            case .snapshot: snapshots
            case .config, .lock: ObjectCount()
            }
        }
        set {
            switch kind {
            case .key: keys = newValue
            case .pack: packs = newValue
            case .index: indexFiles = newValue
            case .snapshot: snapshots = newValue
            case .config, .lock: break
            }
        }
    }
}

/// What bringing a mirror up to date did.
package struct MirrorResult: Sendable {
    /// An object that could not be copied because no place has it as its name says.
    package struct Lost: Sendable, Equatable {
        package var key: ObjectKey
        package var cause: String
    }

    /// What was copied.
    package var copied = MirrorLag()
    /// How many of these came from another mirror, because the store's own copy is damaged or gone.
    package var fromOthers = 0
    /// How many of the store's objects are damaged while the mirror has them good.
    package var betterHere = 0
    /// What the mirror still lacks at the end, as far as is known.
    package var missing = MirrorLag()
    /// The first of what no place has; `lostCount` counts all.
    package var lost: [Lost] = []
    package var lostCount = 0
    /// What its owner should know.
    package var notes: [String] = []

    /// Whether the mirror has all that the store had when it was listed last.
    package var isComplete: Bool { missing.total.objects == 0 && lostCount == 0 }

    private static let lostLimit = 1000

    /// A new round finds again what is still lost.
    mutating func forgetLost(except kind: ObjectKind) {
        lost.removeAll { $0.key.kind != kind }
        lostCount = lost.count
    }

    mutating func add(lost key: ObjectKey, _ cause: String) {
        lostCount += 1
        if lost.count < MirrorResult.lostLimit { lost.append(Lost(key: key, cause: cause)) }
    }
}

/// An object that is to be copied.
struct MirrorItem: Sendable {
    var kind: ObjectKind
    var id: Digest
    /// As the store's listing says.
    var size: UInt64

    var key: ObjectKey { ObjectKey(kind, id) }
}
