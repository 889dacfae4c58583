internal import Platform

/// Makers of directories to test and measure with: same arguments, same names and bytes.
///
/// Times, inode numbers and owners are those of the moment, except where a maker sets them.
package struct Corpus {
    var generator: SeededGenerator
    /// 1 MiB of words, from which the content of small files is cut.
    let block: [UInt8]

    /// Prepares the words and the generator for `seed`.
    package init(seed: UInt64 = 1) {
        var generator = SeededGenerator(seed: seed)
        let words = (0..<2000).map { _ -> [UInt8] in
            (0..<Int.random(in: 2...8, using: &generator)).map { _ in
                UInt8.random(in: 97...122, using: &generator)
            }
        }
        self.block = Corpus.text(1 << 20, words, &generator)
        self.generator = generator
    }

    /// Waits until nothing that was written so far counts as just changed.
    ///
    /// What is read within 50 ms of its change is looked at again.
    package static func settle() {
        let start = SystemClock().now().nanosecondsSinceEpoch
        while SystemClock().now().nanosecondsSinceEpoch - start < 60_000_000 {
            pause(seconds: 0.005)
        }
    }

    /// Makes `count` files of 1 B to 64 KiB, log-normal in size, of word text, 100 a directory.
    package mutating func small(_ path: String, count: Int = 200_000) throws {
        for i in stride(from: 0, to: count, by: 100) {
            let folder = "\(path)/\(padded(i / 10_000, 3))/\(padded(i / 100 % 100, 2))"
            try AtomicFile.makeDirectories(folder, mode: 0o755)
            let directory = try Descriptor.open(folder, [.readOnly, .directory])
            for j in i..<min(count, i + 100) {
                try smallFile("f\(padded(j, 7)).dat", j, in: directory)
            }
        }
    }

    /// Makes `count` files of `size` bytes each, in alternating MiB of noise and of text.
    package mutating func large(_ path: String, count: Int = 32, size: Int = 64 << 20) throws {
        try AtomicFile.makeDirectories(path, mode: 0o755)
        let directory = try Descriptor.open(path, [.readOnly, .directory])
        for i in 0..<count {
            let file = try create("b\(padded(i, 3)).bin", in: directory)
            var left = size
            var turn = 0
            while left > 0 {
                let piece =
                    turn % 2 == 0 ? noise(min(left, 1 << 20)) : shuffledText(min(left, 1 << 20))
                try file.write(piece.span)
                left -= piece.count
                turn += 1
            }
        }
    }

    /// Makes `count` modules of 20 small files each, named `m00000` and so on.
    package mutating func modules(_ path: String, count: Int = 1000) throws {
        for m in 0..<count {
            let folder = "\(path)/m\(padded(m, 5))"
            try AtomicFile.makeDirectories("\(folder)/a/b", mode: 0o755)
            for (offset, inner) in ["", "/a", "/a/b"].enumerated() {
                let directory = try Descriptor.open(folder + inner, [.readOnly, .directory])
                for i in stride(from: offset, to: 20, by: 3) {
                    try smallFile("f\(i)", m * 20 + i, in: directory)
                }
            }
        }
    }

    /// Makes one directory with `count` empty files.
    package func wide(_ path: String, count: Int = 1_000_000) throws {
        try AtomicFile.makeDirectories(path, mode: 0o755)
        let directory = try Descriptor.open(path, [.readOnly, .directory])
        for i in 0..<count {
            _ = try create("e\(padded(i, 8))", in: directory)
        }
    }

    /// Makes `count` directories one inside the other, with a file in each: far past PATH_MAX.
    package func deep(_ path: String, count: Int = 2000) throws {
        try AtomicFile.makeDirectories(path, mode: 0o755)
        var directory = try Descriptor.open(path, [.readOnly, .directory])
        for i in 0..<count {
            let file = try create("f", in: directory)
            try file.write(Array("\(i)".utf8).span)
            try directory.makeDirectory(Array("d".utf8), mode: 0o755)
            directory = try directory.open(
                Array("d".utf8), [.readOnly, .directory, .noFollow], mode: 0)
        }
    }

    /// `count` bytes that do not compress.
    package mutating func noise(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            var word = generator.next()
            for _ in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    /// `count` bytes of words.
    package mutating func shuffledText(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            let length = min(count - bytes.count, 4096)
            let from = Int.random(in: 0...(block.count - length), using: &generator)
            bytes += block[from..<(from + length)]
        }
        return bytes
    }

    /// Writes one file of the `small` kind: its number on a line, then text of a random length.
    mutating func smallFile(
        _ name: String, _ number: Int, in directory: borrowing Descriptor
    ) throws(SystemError) {
        let size = 1 + Int(min(65_535, logNormal(mean: 7, deviation: 1.2, &generator)))
        let from = Int.random(in: 0..<(block.count - size), using: &generator)
        let file = try create(name, in: directory)
        let bytes = Array("\(number)\n".utf8) + block[from..<(from + size)]
        try file.write(bytes.span)
    }

    private static func text(
        _ count: Int, _ words: [[UInt8]], _ generator: inout SeededGenerator
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 16)
        while bytes.count < count {
            bytes += words.randomElement(using: &generator) ?? []
            bytes.append(0x20)
        }
        return Array(bytes[..<count])
    }
}

/// Opens `name` for writing, new or emptied.
func create(
    _ name: String, in directory: borrowing Descriptor
) throws(SystemError) -> Descriptor {
    try directory.open(Array(name.utf8), [.writeOnly, .create, .truncate], mode: 0o644)
}

/// `number` with leading zeros up to `width` digits.
func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
