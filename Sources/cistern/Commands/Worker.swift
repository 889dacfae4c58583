internal import ArgumentParser

struct Worker: ParsableCommand {
    func run() throws {}
}
