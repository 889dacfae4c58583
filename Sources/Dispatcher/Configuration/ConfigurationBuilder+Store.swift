internal import Platform

/// The section `store` of `cistern.yaml`.
extension ConfigurationBuilder {
    static let storeKeys = [
        "url", "scope", "password_file", "password_command", "mirrors", "connections",
        "limit_upload", "limit_download", "s3",
    ]

    mutating func storeSettings(_ entry: YAMLNode.Entry?, _ place: Place) -> StoreSettings? {
        guard let entry else {
            reader.error(place, "`store` is missing", "store: {url: file:./store}")
            return nil
        }
        guard let entries = reader.mapping(entry.value, "`store`", allowed: Self.storeKeys)
        else { return nil }
        let mirrors = entries["mirrors"].map { mirrorURLs($0.value) } ?? []
        let password = entries["password_file"].flatMap { path($0.value, "`password_file`") }
        let command = entries["password_command"].flatMap { passwordCommand($0.value) }
        if let second = entries["password_command"], entries["password_file"] != nil {
            reader.error(
                second.place, "`password_command` beside `password_file`",
                "the password comes from one of the two")
        }
        let scope =
            entries["scope"].flatMap { reader.choice($0.value, "`scope`", StoreScope.self) }
            ?? .fleet
        checkPasswordNames(entries, scope, password, command)
        let network = networkSettings(entries)
        guard let url = entries["url"] else {
            reader.error(entry.place, "`url` of the store is missing", "url: file:./store")
            return nil
        }
        guard let text = reader.text(url.value, "`url` of the store"),
            let location = storeURL(text, url.value.place)
        else { return nil }
        checkMirrors(mirrors, of: location)
        return StoreSettings(
            url: location, passwordFile: password, passwordCommand: command,
            mirrors: mirrors.map(\.url), network: network, scope: scope)
    }

    /// With one password for all modules none could be destroyed on its own.
    private mutating func checkPasswordNames(
        _ entries: [String: YAMLNode.Entry], _ scope: StoreScope, _ file: String?,
        _ command: [String]?
    ) {
        let mark = StoreSettings.moduleMark
        for (key, texts, example) in [
            ("password_file", file.map { [$0] }, "password_file: ./keys/\(mark).key"),
            ("password_command", command, "password_command: [pass, show, cistern/\(mark)]"),
        ] {
            guard let texts, let place = entries[key]?.value.place else { continue }
            let isNamed = texts.contains { $0.contains(mark) }
            if scope == .module && !isNamed {
                reader.error(
                    place, "`\(key)` is the same for all modules beside `scope: module`", example)
            } else if scope == .fleet && isNamed {
                reader.error(
                    place, "`\(mark)` in `\(key)` without `scope: module`",
                    "all modules have one store")
            }
        }
    }

    /// A list of a program and its arguments; a text alone would ask for a shell.
    private mutating func passwordCommand(_ node: YAMLNode) -> [String]? {
        guard case .sequence(let items) = node.content, !items.isEmpty else {
            reader.error(
                node.place, "`password_command` must be a list of a program and its arguments",
                "password_command: [pass, show, cistern]")
            return nil
        }
        var words = items.compactMap { reader.text($0, "each of `password_command`") }
        guard words.count == items.count else { return nil }
        // A name alone is looked for in $PATH.
        if words[0].contains("/") { words[0] = Path.absolute(words[0], in: folder) }
        return words
    }

    private mutating func networkSettings(
        _ entries: [String: YAMLNode.Entry]
    ) -> NetworkSettings {
        var settings = NetworkSettings()
        if let entry = entries["connections"] {
            settings.connections = reader.integer(entry.value, "`connections`", in: 1...64)
        }
        if let entry = entries["limit_upload"] {
            settings.uploadLimit = reader.rate(entry.value, "`limit_upload`")
        }
        if let entry = entries["limit_download"] {
            settings.downloadLimit = reader.rate(entry.value, "`limit_download`")
        }
        guard let entry = entries["s3"],
            let s3 = reader.mapping(
                entry.value, "`s3`", allowed: ["region", "profile", "path_style", "ca_file"])
        else { return settings }
        if let entry = s3["region"] { settings.region = reader.text(entry.value, "`region`") }
        if let entry = s3["profile"] { settings.profile = reader.text(entry.value, "`profile`") }
        if let entry = s3["path_style"] {
            settings.pathStyle = reader.bool(entry.value, "`path_style`")
        }
        if let entry = s3["ca_file"] { settings.caFile = path(entry.value, "`ca_file`") }
        return settings
    }

    private mutating func storeURL(_ text: String, _ place: Place) -> String? {
        do throws(Failure) {
            return try BackendURL.parse(text, in: folder).configured
        } catch {
            reader.error(place, error.message, error.hint)
            return nil
        }
    }

    private mutating func mirrorURLs(_ node: YAMLNode) -> [(url: String, place: Place)] {
        var urls: [(url: String, place: Place)] = []
        for item in reader.texts(node, "`mirrors`") ?? [] {
            guard let text = reader.text(item, "each of `mirrors`"),
                let url = storeURL(text, item.place)
            else { continue }
            urls.append((url, item.place))
        }
        return urls
    }

    /// A mirror of the same place would protect from nothing.
    private mutating func checkMirrors(
        _ mirrors: [(url: String, place: Place)], of store: String
    ) {
        var seen = [(store, "the store")]
        for (url, place) in mirrors {
            if let other = seen.first(where: { overlap($0.0, url) }) {
                reader.error(
                    place, "the mirror shares a place with \(other.1)",
                    "give each mirror a place of its own, on another disk or machine")
            }
            seen.append((url, "another mirror"))
        }
    }

    private func overlap(_ x: String, _ y: String) -> Bool {
        let places = [x, y].map { url in
            (try? BackendURL.parse(url, in: folder).localPath).map { Path.canonical($0) }
        }
        guard let a = places[0], let b = places[1] else { return x == y }
        return Path.contains(a, b) || Path.contains(b, a)
    }
}
