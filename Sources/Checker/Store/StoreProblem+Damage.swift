package import ContentStore
internal import Platform

extension StoreProblem {
    /// An object that is known to be damaged at `place`.
    package init(_ damage: KnownDamage, at place: any Backend, isMirror: Bool = false) {
        let at = isMirror ? " at \(place.location)" : ""
        let since = damage.isGone ? "gone, and damaged before" : "damaged"
        self.init(
            StoreProblem.Kind(damage.key.kind), damage.key.id, "\(since)\(at): \(damage.reason)")
        self.since = damage.since
        self.place = isMirror ? place.location : nil
    }
}

extension StoreProblem.Kind {
    init(_ kind: ObjectKind) {
        switch kind {
        case .config: self = .config
        case .key: self = .key
        case .pack: self = .pack
        case .index: self = .index
        case .snapshot: self = .snapshot
        case .lock: self = .local
        }
    }
}
