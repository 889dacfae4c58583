/// What the store's index says is where, read by restic.
package struct StoreContents: Sendable {
    /// A piece of a pack.
    package struct Blob: Sendable, Hashable {
        package var id: String
        package var isTree: Bool
        package var pack: String
        package var offset: Int
        package var length: Int
    }

    package var blobs: [Blob] = []

    /// Reads every index file of the store.
    ///
    /// - Parameter known: what was read before of index files, by their ids: they never change.
    package init(
        _ fleet: Fleet, _ restic: Restic, known: [String: StoreContents] = [:]
    ) throws {
        for id in fleet.objects("index").sorted() {
            if let before = known[id] {
                blobs += before.blobs
                continue
            }
            blobs += try StoreContents(index: id, fleet, restic).blobs
        }
    }

    /// Reads one index file.
    package init(index id: String, _ fleet: Fleet, _ restic: Restic) throws {
        let index = try JSON(fleet.restic(restic, "cat", "index", id).output)
        for pack in index["packs"].array {
            let name = pack["id"].string ?? ""
            for blob in pack["blobs"].array {
                blobs.append(
                    Blob(
                        id: blob["id"].string ?? "", isTree: blob["type"].string == "tree",
                        pack: name, offset: blob["offset"].integer ?? 0,
                        length: blob["length"].integer ?? 0))
            }
        }
    }

    /// The packs that the index names.
    package var packs: Set<String> { Set(blobs.map(\.pack)) }

    /// How many blobs lie in more packs than one, counted once for each pack too many.
    package var duplicates: Int {
        let places = Set(blobs.map { "\($0.id) \($0.pack)" }).count
        return places - Set(blobs.map(\.id)).count
    }

    /// The data blobs with these ids, in their order.
    package func data(_ ids: [String]) -> [Blob] {
        ids.compactMap { id in blobs.first { $0.id == id && !$0.isTree } }
    }
}

extension Fleet {
    /// The path of a pack's file.
    package func path(ofPack id: String) -> String { "\(store)/data/\(id.prefix(2))/\(id)" }

    /// Flips a bit in the middle of a blob.
    package func damage(_ blob: StoreContents.Blob) throws {
        try Damage.flipByte(path(ofPack: blob.pack), at: blob.offset + blob.length / 2)
    }
}
