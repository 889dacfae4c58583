internal import ContentStore
internal import Dispatcher
internal import Platform

/// The places that hold the store's objects, the first one and its mirrors.
struct StorePlaces {
    var primary: any Backend
    var mirrors: [any Backend]
    /// Mirrors that could not be opened, which stops nobody.
    var away: [(url: String, failure: Failure)] = []

    var all: [any Backend] { [primary] + mirrors }

    /// Opens the configured places and further mirrors.
    ///
    /// - Throws: when the first place cannot be opened.
    static func open(
        _ configuration: Configuration, further: [String] = []
    ) throws(Failure) -> StorePlaces {
        var places = StorePlaces(
            primary: try StoreAccess.backend(configuration, creating: false, cached: false),
            mirrors: [])
        for url in configuration.store.mirrors + further {
            do throws(Failure) {
                places.mirrors.append(try backend(url, configuration))
            } catch {
                guard error.kind != .usage else { throw error }
                places.away.append((url, error))
            }
        }
        return places
    }

    /// The place of a URL, or of a path; it has to be there.
    static func backend(
        _ text: String, _ configuration: Configuration
    ) throws(Failure) -> any Backend {
        // Relative to where the command was given; what the configuration has is absolute.
        let url = text.contains(":") ? text : "file:" + Path.absolute(text, in: Path.working)
        return try StoreAccess.place(
            url, configuration, creating: false, what: "place", hint: "Is its disk mounted?")
    }
}
