internal import ArgumentParser
internal import Dispatcher
internal import Platform

/// `cistern init`: the first configuration.
struct Init: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a commented cistern.yaml and two pipelines.",
        discussion: "Files that exist are never overwritten.")

    @Argument(
        help: ArgumentHelp("The folder; made if it is missing.", valueName: "folder"),
        completion: .directory)
    var folder = "."

    func run() throws {
        var written = 0
        for file in Starter.files {
            let path = folder == "." ? file.path : "\(folder)/\(file.path)"
            if try write(file.text, to: path) {
                written += 1
                CrashPoint.reached("starter-file-written")
                try Print.line("wrote \(path)")
            } else {
                try Print.line("left \(path) as it is: it exists")
            }
        }
        if written > 0 {
            try Print.line("Next: add modules to cistern.yaml, then `cistern configcheck`.")
        }
    }

    /// Writes a new file; false when one is there already.
    private func write(_ text: String, to path: String) throws(Failure) -> Bool {
        let bytes = Array(text.utf8)
        do {
            try AtomicFile.makeDirectories(Path.folder(of: path), mode: 0o755)
            try AtomicFile.write(bytes.span, to: path, mode: 0o644, replacing: false)
            return true
        } catch {
            if error.code == Errno.exists { return false }
            throw Failure(.module, "cannot write \(path)", cause: error.description)
        }
    }
}
