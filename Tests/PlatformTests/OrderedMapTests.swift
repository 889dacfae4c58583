import Platform
import Synchronization
import Testing

@Suite struct OrderedMapTests {
    private struct Planned: Error, Equatable {
        var number: Int
    }

    private func run(
        count: Int, threads: Int, window: Int, failing: Set<Int> = [], failingNext: Int? = nil,
        failingCollect: Int? = nil
    ) throws -> (results: [Int], error: (any Error)?, widest: Int) {
        var fed = 0
        var results: [Int] = []
        var widest = 0
        let next: () throws -> Int? = {
            if fed == failingNext { throw Planned(number: -fed) }
            guard fed < count else { return nil }
            fed += 1
            widest = max(widest, fed - results.count)
            return fed - 1
        }
        do {
            try orderedMap(
                threads: threads, window: window, name: "test",
                makeWorker: { _ in
                    { number, item in
                        #expect(number == item)
                        if failing.contains(item) { throw Planned(number: item) }
                        return item * 2
                    }
                }, next: next,
                collect: { (number: Int, output: Int) in
                    if number == failingCollect { throw Planned(number: 1000 + number) }
                    #expect(number == results.count)
                    results.append(output)
                })
        } catch {
            return (results, error, widest)
        }
        return (results, nil, widest)
    }

    @Test(arguments: [1, 2, 5], [1, 2, 8, 100])
    func resultsComeInTheOrderOfTheInput(_ threads: Int, _ window: Int) throws {
        let (results, error, widest) = try run(count: 500, threads: threads, window: window)
        #expect(error == nil)
        #expect(results == (0..<500).map { $0 * 2 })
        #expect(widest <= window)
    }

    @Test func theFirstErrorInOrderIsThrownAfterWhatStandsBeforeIt() throws {
        for _ in 0..<20 {
            let (results, error, _) = try run(
                count: 100, threads: 4, window: 16, failing: [30, 31, 33, 90])
            #expect(error as? Planned == Planned(number: 30))
            #expect(results.count == 30)
        }
    }

    @Test func anErrorOfTheSourceComesAfterWhatItGave() throws {
        let (results, error, _) = try run(count: 100, threads: 2, window: 8, failingNext: 40)
        #expect(error as? Planned == Planned(number: -40))
        #expect(results.count == 40)
    }

    @Test func anErrorOfTheCollectorEndsTheWork() throws {
        let (results, error, _) = try run(count: 100, threads: 2, window: 8, failingCollect: 7)
        #expect(error as? Planned == Planned(number: 1007))
        #expect(results.count == 7)
    }

    @Test func anEmptyStreamIsDoneAtOnce() throws {
        #expect(try run(count: 0, threads: 3, window: 3).results.isEmpty)
    }

    @Test func workRunsAtTheSameTime() throws {
        // Each item waits for the other: with one thread this would never end.
        let arrived = Monitor(0)
        var fed = 0
        try orderedMap(
            threads: 2, window: 2, name: "pair",
            makeWorker: { _ in
                { _, _ in
                    arrived.with { $0 += 1 }
                    return arrived.wait(seconds: 30) { $0 >= 2 ? true : nil } ?? false
                }
            },
            next: { () -> Int? in
                fed += 1
                return fed <= 2 ? fed : nil
            },
            collect: { (_: Int, met: Bool) in #expect(met) })
    }
}
