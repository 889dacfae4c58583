/// Maps a stream of items on several threads and collects the results in the order of the input.
///
/// `next` and `collect` are called on the caller's thread; the work runs on `threads` threads of
/// its own, which end before this returns. At most `window` items are between `next` and
/// `collect`, so memory is bounded however long the stream is.
///
/// - Parameters:
///   - makeWorker: called once on each thread with its index, so that a worker can own contexts
///     that are not shared; the function it returns gets each item with its number in the stream.
///   - next: the next item, or nil at the end.
///   - collect: takes each result with its number, in order.
/// - Throws: the first error in stream order of `next`, the work or `collect`. Results before it
///   have been collected; the threads have ended.
package func orderedMap<Item: Sendable, Output: Sendable>(
    threads count: Int, window: Int, name: String,
    makeWorker:
        @escaping @Sendable (_ index: Int) throws -> (
            (_ number: Int, _ item: Item) throws -> Output
        ),
    next: () throws -> Item?,
    collect: (_ number: Int, _ output: Output) throws -> Void
) throws {
    precondition(count > 0 && window > 0)
    let monitor = Monitor(OrderedMapState<Item, Output>())
    let threads = (0..<count).map { index in
        DedicatedThread(name: "\(name)-\(index)") {
            runWorker(index, monitor, makeWorker)
        }
    }
    defer {
        monitor.with { $0.closed = true }
        for thread in threads { thread.join() }
    }

    var fed = 0
    var collected = 0
    var atEnd = false
    var feedError: (any Error)?
    while true {
        while !atEnd && fed - collected < window {
            do {
                if let item = try next() {
                    let number = fed
                    monitor.with { $0.waiting.append((number, item)) }
                    fed += 1
                } else {
                    atEnd = true
                }
            } catch {
                // What was fed before the error is still good: collect it first.
                feedError = error
                atEnd = true
            }
            // Collect early what is ready, so that results do not wait for a slow source.
            if monitor.with({ $0.done[collected] != nil }) { break }
        }
        if fed == collected {
            if let feedError { throw feedError }
            return
        }
        let number = collected
        let output = monitor.wait { $0.done.removeValue(forKey: number) }
        try collect(number, output.get())
        collected += 1
    }
}

private struct OrderedMapState<Item: Sendable, Output: Sendable> {
    var waiting: [(number: Int, item: Item)] = []
    var done: [Int: Result<Output, any Error>] = [:]
    var closed = false
}

private func runWorker<Item: Sendable, Output: Sendable>(
    _ index: Int, _ monitor: Monitor<OrderedMapState<Item, Output>>,
    _ makeWorker: (Int) throws -> ((Int, Item) throws -> Output)
) {
    let work: Result<(Int, Item) throws -> Output, any Error> = Result { try makeWorker(index) }
    while true {
        let job = monitor.wait { state -> (number: Int, item: Item)?? in
            if state.closed { return .some(nil) }
            return state.waiting.isEmpty ? nil : .some(state.waiting.removeFirst())
        }
        guard let job else { return }
        let result = Result { try work.get()(job.number, job.item) }
        monitor.with { $0.done[job.number] = result }
    }
}
