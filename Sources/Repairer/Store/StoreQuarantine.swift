internal import ContentStore
internal import Platform

/// Keeps the bytes of damaged objects that are taken out of the store:
/// `<state>/quarantine/.store/<time>-<kind>-<id>`, and beside it `.json` with the reason.
///
/// The dot keeps it apart from every module's. Nothing of it is ever deleted by Cistern.
struct StoreQuarantine {
    private static let block: UInt64 = 1 << 20

    private let folder: String
    private let clock: any WallClock

    init(stateDirectory: String, clock: any WallClock) {
        folder = "\(stateDirectory)/quarantine/.store"
        self.clock = clock
    }

    /// Keeps a copy of what can be read of an object; what cannot is a hole in it.
    ///
    /// - Throws: `Failure`; the object must then stay.
    func keep(_ key: ObjectKey, at place: any Backend, reason: String) throws(Failure) {
        guard let size = try place.failing({ place throws(BackendError) in try place.size(key) })
        else { return }
        let id = key.id?.description ?? ""
        let name = Array("\(clock.now().seconds)-\(key.kind.rawValue)-\(id)".utf8)
        do {
            try AtomicFile.makeDirectories(folder)
            let target = try Descriptor.open(folder, [.readOnly, .directory])
            let file = try target.open(name, [.readWrite, .create, .truncate])
            var at: UInt64 = 0
            while at < size {
                let end = min(size, at + StoreQuarantine.block)
                if let bytes = try part(key, at..<end, place) { try file.write(bytes.span, at: at) }
                at = end
            }
            try file.truncate(to: size)
            try file.sync()
            try AtomicFile.write(
                note(key, place, reason).span, to: name + Array(".json".utf8), in: target)
            try target.sync()
        } catch {
            throw Failure(.module, "\(key) cannot be put into \(folder)", wrapping: error)
        }
        CrashPoint.reached("repair-quarantined")
    }

    private func part(
        _ key: ObjectKey, _ range: Range<UInt64>, _ place: any Backend
    ) throws(Failure) -> [UInt8]? {
        var bytes: [UInt8] = []
        do throws(BackendError) {
            try place.read(key, range, into: &bytes)
            return bytes
        } catch {
            if case .unknown(let failure) = ObjectProblem(error, at: place) { throw failure }
            return nil
        }
    }

    private func note(_ key: ObjectKey, _ place: any Backend, _ reason: String) -> [UInt8] {
        var note: [UInt8] = Array(#"{"object":"#.utf8)
        appendJSONString(key.path, to: &note)
        note += Array(#","place":"#.utf8)
        appendJSONString(place.location, to: &note)
        note += Array(#","reason":"#.utf8)
        appendJSONString(reason, to: &note)
        return note + Array("}\n".utf8)
    }
}
