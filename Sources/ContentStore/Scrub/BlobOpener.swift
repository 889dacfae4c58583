package import Platform

/// Opens single blobs of packs at any place, whatever the index says of them.
///
/// Not for use by two threads at once.
package final class BlobOpener {
    private let sealer: Sealer
    private let decompressor = ZstdDecompressor()
    private let hasher = SHA256Hasher()

    package init(store: Store) { sealer = Sealer(key: store.key) }

    /// The content of a blob; nil when the place has not got it as it was written.
    ///
    /// - Throws: `Failure` when the place cannot be asked.
    package func content(
        of entry: PackEntry, in pack: Digest, at place: any Backend
    ) throws(Failure) -> [UInt8]? {
        guard entry.contentLength <= BlobReader.contentLimit else { return nil }
        var sealed: [UInt8] = []
        do throws(BackendError) {
            try place.read(ObjectKey(.pack, pack), entry.range, into: &sealed)
        } catch {
            if case .unknown(let failure) = ObjectProblem(error, at: place) { throw failure }
            return nil
        }
        var plain: [UInt8] = []
        do throws(Failure) {
            if let length = entry.plainLength {
                var opened: [UInt8] = []
                try sealer.open(sealed.span, into: &opened)
                try decompressor.decompress(opened.span, into: &plain, limit: Int(length))
            } else {
                try sealer.open(sealed.span, into: &plain)
            }
        } catch {
            return nil
        }
        hasher.update(plain.span)
        return hasher.finish() == entry.id ? plain : nil
    }

    /// The blobs of a pack by its own header; nil when that cannot be read.
    ///
    /// - Throws: `Failure` when the place cannot be asked.
    package func header(
        of pack: Digest, at place: any Backend
    ) throws(Failure) -> [PackEntry]? {
        let key = ObjectKey(.pack, pack)
        guard let size = try place.failing({ place throws(BackendError) in try place.size(key) })
        else { return nil }
        do throws(Failure) {
            return try PackHeader.decode(size: size, sealer: sealer) { range throws(Failure) in
                var bytes: [UInt8] = []
                do throws(BackendError) {
                    try place.read(key, range, into: &bytes)
                } catch {
                    if case .unknown(let failure) = ObjectProblem(error, at: place) {
                        throw failure
                    }
                    throw error.failure(at: place.location)
                }
                return bytes
            }
        } catch {
            guard error.kind == .store else { throw error }
            return nil
        }
    }
}
