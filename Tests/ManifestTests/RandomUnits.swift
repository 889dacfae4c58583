import Manifest
import Platform
import TestSupport

/// Makes units that use every field of the format.
struct RandomUnits {
    var generator: SeededGenerator

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    mutating func below(_ n: Int) -> Int { Int.random(in: 0..<n, using: &generator) }

    mutating func number() -> UInt64 {
        // All lengths of numbers, not only the longest.
        UInt64.random(in: .min ... .max, using: &generator) >> UInt64(below(64))
    }

    mutating func bool() -> Bool { below(2) == 0 }

    mutating func text() -> String {
        let parts = [
            "plain", "\"", "\\", "\n", "\t", "\u{1}", "\u{7f}", "é", "\u{2028}", "😀", "a/b", "",
            "\u{fffd}",
            "long enough to fill more than one word", "\r", "\u{8}", "\u{c}",
        ]
        return (0..<below(5)).map { _ in parts[below(parts.count)] }.joined()
    }

    mutating func name() -> [UInt8] {
        let bytes: [UInt8]
        switch below(4) {
        case 0: bytes = (0...below(12)).map { _ in UInt8.random(in: 1...255, using: &generator) }
        case 1: bytes = Array(text().utf8)
        default: bytes = Array("f\(number()).dat".utf8)
        }
        let name = bytes.filter { $0 != 0x2F && $0 != 0 }
        return name.isEmpty || name == [0x2E] || name == [0x2E, 0x2E] ? [0x61] : name
    }

    mutating func path() -> [UInt8] {
        Array((0..<below(5)).map { _ in name() }.joined(separator: [0x2F]))
    }

    mutating func time() -> Timestamp {
        let seconds = Int64(bitPattern: number()) / 1_000_000_000 * (bool() ? 1 : -1)
        return Timestamp(
            seconds: bool() ? 1_763_725_555 : seconds,
            nanoseconds: UInt32(below(1_000_000_000)))
    }

    mutating func check() -> CheckResult {
        CheckResult(
            state: CheckResult.State.allCases[below(6)], healthy: bool(), recoverable: bool(),
            verified: bool(), copiesExpected: below(3), copiesGood: below(3),
            copiesCorrupt: below(3), problems: (0..<below(3)).map { _ in text() })
    }

    mutating func repair() -> RepairResult {
        RepairResult(
            attempted: bool(), successful: bool(), action: RepairResult.Action.allCases[below(4)],
            before: check(), after: check(), error: bool() ? text() : nil)
    }

    mutating func digest() -> Digest {
        var generator = generator
        let bytes = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
        self.generator = generator
        return Digest(bytes.span) ?? { fatalError("32 bytes are a digest") }()
    }

    mutating func unit() -> Unit {
        let kind = FileKind.allCases[below(FileKind.allCases.count)]
        let isDevice = kind == .chardev || kind == .blockdev
        var unit = Unit(
            path: path(),
            metadata: FileMetadata(
                kind: kind, permissions: UInt32(below(0o10000)),
                uid: UInt32(truncatingIfNeeded: number()),
                gid: UInt32(truncatingIfNeeded: number()), size: number(), mtime: time(),
                ctime: time(), inode: number(), device: number(), rdev: isDevice ? number() : 0,
                links: UInt32(truncatingIfNeeded: number())))
        if kind == .symlink { unit.target = bool() ? name() : Array(text().utf8) }
        unit.xattrs = (0..<(below(4) == 0 ? below(3) : 0)).map { _ in
            ExtendedAttribute(
                name: name(), value: (0..<below(9)).map { _ in UInt8(below(256)) })
        }
        if below(4) == 0 { unit.error = UnitError(call: "openat", code: Int32(below(140))) }
        if bool() { unit.check = check() }
        if below(4) == 0 { unit.repair = repair() }
        if bool() {
            unit.content = ContentResult(
                ids: (0..<below(4)).map { _ in digest() }, storedBytes: number(),
                newBytes: number(), problems: (0..<below(2)).map { _ in text() })
        }
        return unit
    }

    mutating func stats() -> Stats {
        var accumulator = StatsAccumulator()
        for _ in 0..<below(50) {
            var unit = unit()
            unit.metadata.size >>= 20
            accumulator.add(unit)
        }
        for i in 0..<below(3) { accumulator.stats[counter: "counter \(i) \(text())"] = number() }
        return accumulator.stats
    }

    mutating func line() -> ListLine {
        switch below(8) {
        case 0: .stats(stats())
        case 1:
            .overlay(
                Overlay(
                    seq: number() >> 1, count: 1 + number() >> 1, check: bool() ? check() : nil,
                    repair: bool() ? repair() : nil))
        default: .unit(unit())
        }
    }
}

/// The bytes of `line` with its newline.
func encoded(_ line: ListLine) -> [UInt8] {
    var bytes: [UInt8] = []
    Codec.encode(line, into: &bytes)
    return bytes
}

/// Decodes one line without its newline.
func decoded(_ bytes: [UInt8]) throws -> ListLine { try Codec.decode(bytes.span) }

/// Decodes one line without its newline.
func decoded(_ text: String) throws -> ListLine { try decoded(Array(text.utf8)) }
