internal import ContentStore
internal import Platform

/// Damaged objects whose bytes are another object's: written or moved under a wrong name.
struct MisplacedObjects {
    private struct Name: Hashable {
        var place: Int
        var key: ObjectKey
    }

    private var places: [ObjectKey: (place: Int, name: ObjectKey)] = [:]
    private var contents: [Name: ObjectKey] = [:]

    /// None.
    init() {}

    /// Hashes all that is known to be damaged.
    ///
    /// - Throws: `Failure` when a place cannot be asked.
    init(places: [StorePlace], copies: ObjectCopies) throws(Failure) {
        for (index, place) in places.enumerated() {
            for damage in try place.state.knownDamage() where !damage.isGone {
                guard damage.key != .config,
                    let sum = try copies.sum(damage.key, at: place.backend), sum != damage.key.id
                else { continue }
                let own = ObjectKey(damage.key.kind, sum)
                contents[Name(place: index, key: damage.key)] = own
                if self.places[own] == nil { self.places[own] = (index, damage.key) }
            }
        }
    }

    /// Where the object lies under another name.
    func place(of key: ObjectKey) -> (place: Int, name: ObjectKey)? { places[key] }

    /// The object that by its bytes lies under a name.
    func object(in name: ObjectKey, at place: Int) -> ObjectKey? {
        contents[Name(place: place, key: name)]
    }
}
