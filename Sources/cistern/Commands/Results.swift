internal import ArgumentParser

struct Results: ParsableCommand {
    func run() throws {}
}
