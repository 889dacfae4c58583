internal import Foundation

/// Says visibly that something is not being checked here, and why.
///
/// The line goes to standard output and, so that it can be shown once more after the tests, to the
/// file that `CISTERN_NOTICES` names.
package func notice(_ text: String) {
    let line = "NOTICE: \(text)\n"
    print(line, terminator: "")
    guard let path = environment["CISTERN_NOTICES"] else { return }
    let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard file >= 0 else { return }
    _ = line.withCString { write(file, $0, strlen($0)) }
    close(file)
}

/// `available`, with a notice when it is not: for `.enabled(if:)` of tests that need more than
/// every machine has.
package func available(_ what: String, _ available: Bool) -> Bool {
    if !available { notice("\(what): not checked") }
    return available
}

/// Whether the tests run as root, which devices, owners and mounts need.
package let isRoot = geteuid() == 0

/// The variables that the tests were started with.
package let environment = ProcessInfo.processInfo.environment

/// A number from the environment, for knobs as `CISTERN_KILLS`.
package func setting(_ name: String, default value: Int) -> Int {
    environment[name].flatMap { Int($0) } ?? value
}
