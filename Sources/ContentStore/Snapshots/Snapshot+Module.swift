/// Whose a snapshot is.
extension Snapshot {
    /// The paths that Cistern gives the snapshots of a module.
    package static func paths(of module: String) -> [String] { ["/\(module)"] }

    /// The tags that Cistern gives the snapshots of a module.
    package static func tags(of module: String) -> [String] { ["cistern", tag(of: module)] }

    private static func tag(of module: String) -> String { "module=\(module)" }

    /// The module that this is a snapshot of: by its only path, and by the tag that names it.
    ///
    /// Nil for what other programs stored. restic's own backup of a directory `/data` is not
    /// module `data`'s, nor is a snapshot whose tag somebody took away: neither is removed or taken
    /// for the module's newest.
    package var module: String? {
        guard paths.count == 1, let path = paths.first, path.hasPrefix("/") else { return nil }
        let name = String(path.dropFirst())
        return tags.contains(Snapshot.tag(of: name)) ? name : nil
    }
}
