/// A module as the configuration describes it: a name, a directory and what to leave out.
package struct ModuleDefinition: Sendable, Hashable, Codable {
    /// `[A-Za-z0-9][A-Za-z0-9-]{0,62}`.
    package var name: String
    /// The absolute path of the directory.
    package var path: String
    /// Patterns of files to leave out, like lines of a .gitignore.
    package var exclude: [String]
    /// Whether directories of other file systems below `path` are left out.
    package var oneFileSystem: Bool

    /// Describes a module.
    package init(
        name: String, path: String, exclude: [String] = [], oneFileSystem: Bool = false
    ) {
        self.name = name
        self.path = path
        self.exclude = exclude
        self.oneFileSystem = oneFileSystem
    }

    /// The rule for names, for messages.
    package static let nameRule = "letters, digits and -, not - first, at most 63 characters"

    /// Whether `name` may name a module: it becomes a file name and a tag, so nothing else passes.
    package static func isValid(name: String) -> Bool {
        let bytes = name.utf8
        guard let first = bytes.first, first != UInt8(ascii: "-"), bytes.count <= 63 else {
            return false
        }
        return bytes.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D: true
            default: false
            }
        }
    }
}
