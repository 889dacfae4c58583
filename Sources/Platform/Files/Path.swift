internal import CLinux
internal import Glibc

/// Paths as texts: absolute forms and what the file system says of them.
package enum Path {
    /// The absolute form of `path`, without `.`, `..` and double slashes.
    ///
    /// Relative paths start at `folder`. Symlinks are not looked at.
    package static func absolute(_ path: String, in folder: String) -> String {
        let whole = path.hasPrefix("/") ? path : folder + "/" + path
        var parts: [Substring] = []
        for part in whole.split(separator: "/", omittingEmptySubsequences: true) {
            switch part {
            case ".": continue
            case "..": _ = parts.popLast()
            default: parts.append(part)
            }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// An absolute path with its symlinks resolved; what does not exist yet stays as it is.
    package static func canonical(_ path: String) -> String {
        var missing: [Substring] = []
        var head = path[...]
        while !head.isEmpty && head != "/" {
            if let real = resolve(String(head)) {
                return missing.isEmpty
                    ? real
                    : (real == "/" ? "" : real) + "/" + missing.reversed().joined(separator: "/")
            }
            guard let slash = head.lastIndex(of: "/") else { break }
            missing.append(head[head.index(after: slash)...])
            head = head[..<slash]
        }
        return path
    }

    /// Whether `path` is `folder` or lies below it, by their texts.
    package static func contains(_ folder: String, _ path: String) -> Bool {
        folder == "/" || path == folder || path.hasPrefix(folder + "/")
    }

    /// The part before the last slash: `/` for `/a`, `.` for `a`.
    package static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The part behind the last slash.
    package static func name(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return path }
        return String(path[path.index(after: slash)...])
    }

    /// The kind of what `path` names, symlinks followed; nil when it cannot be reached.
    package static func kind(_ path: String) -> FileKind? {
        var s = cl_stat()
        guard unsafe cl_statx(AT_FDCWD, path, 0, &s) == 0 else { return nil }
        return FileKind(mode: s.mode)
    }

    /// The working directory.
    package static var working: String { resolve(".") ?? "/" }

    private static func resolve(_ path: String) -> String? {
        guard let real = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(real) }
        return unsafe String(cString: real)
    }
}
