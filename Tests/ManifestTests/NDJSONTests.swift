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
        try NDJSONTests.reading(bytes, in: Folder(), bufferSize, limit)
    }

    private static func reading(
        _ bytes: [UInt8], in folder: Folder, _ bufferSize: Int = 1 << 20, _ limit: Int = 1024
    ) throws -> (lines: [ListLine], failure: Failure?) {
        let file = try folder.descriptor.open(
            Array("list".utf8), [.readWrite, .create, .truncate])
        try file.write(bytes.span)
        try file.seek(to: 0)
        let reader = NDJSONReader(file, bufferSize: bufferSize)
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
        let bytes = lines.flatMap { encoded($0) }
        let (result, failure) = try read(bytes, bufferSize: bufferSize, limit: limit)
        #expect(failure == nil)
        #expect(result == lines)
    }

    @Test func everyCutIsFoundAfterWhatStandsBeforeIt() throws {
        let lines = NDJSONTests.lines(3)
        let bytes = lines.flatMap { encoded($0) }
        let folder = try Folder()
        for cut in 0..<bytes.count {
            let (result, failure) = try NDJSONTests.reading(Array(bytes[..<cut]), in: folder)
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
