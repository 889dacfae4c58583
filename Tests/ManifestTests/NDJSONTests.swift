import Manifest
import Platform
import TestSupport
import Testing

@Suite struct NDJSONTests {
    private static func lines(_ count: Int, seed: UInt64 = 21) -> [ListLine] {
        var random = RandomUnits(seed: seed)
        return (0..<count).map { _ in .unit(random.unit()) } + [.stats(random.stats())]
    }

    private func read(
        _ bytes: [UInt8], bufferSize: Int = 1 << 20, limit: Int = 1024
    ) throws -> (lines: [ListLine], failure: Failure?) {
        let folder = try Folder()
        try AtomicFile.write(bytes.span, to: folder.path + "/list")
        let reader = NDJSONReader(
            try Descriptor.open(folder.path + "/list", [.readOnly]), bufferSize: bufferSize)
        var lines: [ListLine] = []
        do throws(Failure) {
            while let batch = try reader.next(limit: limit) {
                #expect(!batch.isEmpty && batch.count <= limit)
                lines += batch
            }
        } catch {
            #expect(throws: Failure.self) { try reader.next() }
            return (lines, error)
        }
        return (lines, nil)
    }

    @Test(arguments: [16, 100, 4096, 1 << 20], [1, 7, 1024])
    func aListComesBack(_ bufferSize: Int, _ limit: Int) throws {
        let lines = NDJSONTests.lines(300)
        let folder = try Folder()
        let writer = NDJSONWriter(
            try Descriptor.open(folder.path + "/list", [.writeOnly, .create]), bufferSize: 1000)
        for line in lines { try writer.write(line) }
        try writer.flush()
        let bytes = try AtomicFile.read(folder.path + "/list")
        let (result, failure) = try read(bytes, bufferSize: bufferSize, limit: limit)
        #expect(failure == nil)
        #expect(result == lines)
    }

    @Test func everyCutIsFoundAfterWhatStandsBeforeIt() throws {
        let lines = NDJSONTests.lines(3)
        let bytes = lines.flatMap { encoded($0) }
        for cut in 0..<bytes.count {
            let (result, failure) = try read(Array(bytes[..<cut]))
            let whole = bytes[..<cut].count { $0 == 10 }
            #expect(failure?.kind == .truncated, "cut at \(cut)")
            #expect(result == Array(lines[..<whole]), "cut at \(cut)")
        }
    }

    @Test func aBadLineIsNamedAfterWhatStandsBeforeIt() throws {
        let lines = NDJSONTests.lines(3)
        let bytes = lines[..<2].flatMap { encoded($0) } + Array("nonsense\n".utf8)
        let (result, failure) = try read(bytes)
        #expect(result == Array(lines[..<2]))
        #expect(failure?.kind == .usage)
        #expect(failure?.message.hasPrefix("line 3: ") ?? false)
    }

    @Test func nothingMayFollowTheStats() throws {
        let lines = NDJSONTests.lines(1)
        let (result, failure) = try read((lines + lines).flatMap { encoded($0) })
        #expect(result == lines)
        #expect(failure?.message.contains("after the stats") ?? false)
    }
}
