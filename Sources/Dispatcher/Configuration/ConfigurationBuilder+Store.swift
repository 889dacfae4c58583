internal import Platform

/// The section `store` of `cistern.yaml`.
extension ConfigurationBuilder {
    static let storeKeys = [
        "url", "password_file", "mirrors", "connections", "limit_upload", "limit_download", "s3",
    ]

    mutating func storeSettings(_ entry: YAMLNode.Entry?, _ place: Place) -> StoreSettings? {
        guard let entry else {
            reader.error(place, "`store` is missing", "store: {url: file:./store}")
            return nil
        }
        guard let entries = reader.mapping(entry.value, "`store`", allowed: Self.storeKeys)
        else { return nil }
        if let mirrors = entries["mirrors"] { checkMirrors(mirrors.value) }
        let password = entries["password_file"].flatMap { path($0.value, "`password_file`") }
        let network = networkSettings(entries)
        guard let url = entries["url"] else {
            reader.error(entry.place, "`url` of the store is missing", "url: file:./store")
            return nil
        }
        guard let text = reader.text(url.value, "`url` of the store"),
            let location = storeURL(text, url.value.place)
        else { return nil }
        return StoreSettings(
            url: location, passwordFile: password, mirrors: [], network: network)
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
            return try BackendURL.parse(text, in: folder).description
        } catch {
            reader.error(place, error.message, error.hint)
            return nil
        }
    }

    private mutating func checkMirrors(_ node: YAMLNode) {
        guard let items = reader.texts(node, "`mirrors`"), let first = items.first else { return }
        reader.error(
            first.place, "mirrors are not supported by this version", "allowed: mirrors: []")
    }
}
