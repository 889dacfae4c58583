internal import ArgumentParser

struct Wait: ParsableCommand {
    func run() throws {}
}
