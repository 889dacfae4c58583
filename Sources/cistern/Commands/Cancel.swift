internal import ArgumentParser

struct Cancel: ParsableCommand {
    func run() throws {}
}
