import Manifest
import TestSupport
import Testing

@Suite struct PathOrderTests {
    @Test func componentsAreComparedBytewise() {
        let ordered = ["", "-a", "a", "a/b", "a/b/c", "a/c", "a-b", "a.b", "a0", "b", "é"]
        for (i, a) in ordered.enumerated() {
            for (j, b) in ordered.enumerated() {
                let order = comparePaths(Array(a.utf8), Array(b.utf8))
                #expect(order.signum() == (i - j).signum(), "\(a) against \(b)")
            }
        }
    }

    @Test func sortKeysHaveTheSameOrder() {
        var random = RandomUnits(seed: 5)
        for round in 0..<20_000 {
            let a = random.path()
            let b = random.path()
            let x = sortKey(a)
            let y = sortKey(b)
            let expected =
                x == y ? 0 : x.lexicographicallyPrecedes(y) ? -1 : 1
            #expect(comparePaths(a, b).signum() == expected, "seed 5, round \(round)")
            #expect(path(ofSortKey: x) == a)
        }
    }
}
