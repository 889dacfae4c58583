internal import Platform

/// A part of the walk that one thread does at once: lists a directory and reads its first slice of
/// entries, or reads a later slice.
///
/// Unchecked: `state`, `output` and `next` are only touched under the agenda's lock, or by the
/// thread that made the step before it was published.
final class Step: @unchecked Sendable {
    enum State {
        case waiting, running, done
    }

    let node: DirectoryNode
    let slice: Int
    var state = State.waiting
    var output = SliceOutput()
    var next: Step?

    init(_ node: DirectoryNode, slice: Int) {
        self.node = node
        self.slice = slice
    }
}

/// What a step gives, in reverse: the last element comes first in path order.
struct SliceOutput {
    /// Entries that are not descended.
    ///
    /// Under a long prefix `path` is the name alone.
    var units: [Unit] = []
    /// Directories to descend, each before the unit that has `remaining` - 1 units behind it.
    var directories: [(remaining: Int, node: DirectoryNode)] = []
    /// How much memory this takes, in typical units.
    var weight = 1
    /// What a resumed walk cannot pass over.
    var failure: Failure?
}

/// The steps that are known, in path order, between the readers and the walk.
///
/// A step's directories become steps right behind it, so the list stays in path order; readers take
/// the first that nobody has, the walk takes from the head what is done.
struct Agenda {
    /// How much may wait in front of the step that is taken next, in units.
    static let weightBefore = 4 << 10
    /// How much may wait in all: steps inserted in front of read ones must not add up.
    static let weightTotal = 8 << 10
    /// How many steps may wait or run.
    static let stepsBefore = 256
    // What a step weighs before it is known.
    private static let assumedWeight = 64

    private var head: Step?
    private var total = 0
    private var closed = false

    init(_ first: Step) {
        head = first
    }

    /// The step to do next.
    ///
    /// Outer nil: nothing now, wait; inner nil: nothing ever again.
    mutating func take() -> Step?? {
        if closed { return .some(nil) }
        var step = head
        var weight = 0
        var count = 0
        while let current = step {
            if current.state == .waiting {
                // The first step of all is what the walk waits for: it is always taken.
                guard current === head || total < Agenda.weightTotal else { return nil }
                current.state = .running
                total += Agenda.assumedWeight
                return current
            }
            weight += current.state == .done ? current.output.weight : Agenda.assumedWeight
            count += 1
            if weight >= Agenda.weightBefore || count >= Agenda.stepsBefore { return nil }
            step = current.next
        }
        return nil
    }

    /// Notes the result of a running step and puts `first`…`last` behind it.
    mutating func finish(_ step: Step, _ output: SliceOutput, first: Step?, last: Step?) {
        step.output = output
        step.state = .done
        total += output.weight - Agenda.assumedWeight
        if let first, let last {
            last.next = step.next
            step.next = first
        }
    }

    /// Takes the steps away that are done and have no others before them, at most 16; nil for none.
    mutating func popDone() -> [Step]? {
        var steps: [Step] = []
        while steps.count < 16, let step = head, step.state == .done {
            head = step.next
            step.next = nil
            total -= step.output.weight
            steps.append(step)
        }
        return steps.isEmpty ? nil : steps
    }

    /// Ends the work: readers stop after their present step.
    mutating func close() {
        closed = true
        // One by one: releasing a long chain at once would recurse along it.
        while let step = head {
            head = step.next
            step.next = nil
        }
    }
}
