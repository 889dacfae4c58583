internal import Foundation
internal import Platform

extension Corpus {
    /// What `churn` did to a directory.
    package struct Churn: Equatable, Sendable {
        package var rewritten = 0
        package var appended = 0
        package var deleted = 0
        package var added = 0
        package var renamed = 0
    }

    /// Changes a directory made by `small` or `modules`: 1 % of the files rewritten, 0.5 % appended
    /// to, 0.5 % deleted, 0.5 % added, 0.2 % renamed.
    package mutating func churn(_ path: String) throws -> Churn {
        var done = Churn()
        for (number, name) in Corpus.files(path).enumerated() {
            let split = name.lastIndex(of: "/") ?? name.startIndex
            let directory = try Descriptor.open(
                "\(path)/\(name[..<split])", [.readOnly, .directory])
            let leaf = name[split...].drop { $0 == "/" }
            switch Double.random(in: 0..<1, using: &generator) {
            case ..<0.010:
                try smallFile(String(leaf), number, in: directory)
                done.rewritten += 1
            case ..<0.015:
                let file = try directory.open(Array(leaf.utf8), [.writeOnly, .append], mode: 0)
                try file.write(Array("more \(number)\n".utf8).span)
                done.appended += 1
            case ..<0.020:
                try directory.unlink(Array(leaf.utf8))
                done.deleted += 1
            case ..<0.025:
                try smallFile(leaf + ".new", number, in: directory)
                done.added += 1
            case ..<0.027:
                try directory.rename(
                    Array(leaf.utf8), to: Array((leaf + ".moved").utf8), in: directory)
                done.renamed += 1
            default: break
            }
        }
        return done
    }

    /// The regular files below `path`, sorted, relative to it.
    ///
    /// For directories of plain names.
    package static func files(_ path: String) -> [String] {
        let found = FileManager.default.enumerator(atPath: path)
        var names: [String] = []
        while let name = found?.nextObject() as? String {
            if found?.fileAttributes?[.type] as? FileAttributeType == .typeRegular {
                names.append(name)
            }
        }
        return names.sorted()
    }
}

/// A number whose logarithm is normally distributed (Box and Muller).
func logNormal(mean: Double, deviation: Double, _ generator: inout SeededGenerator) -> Double {
    let u = Double.random(in: Double.leastNonzeroMagnitude..<1, using: &generator)
    let v = Double.random(in: 0..<1, using: &generator)
    return exp(mean + deviation * (-2 * log(u)).squareRoot() * cos(2 * Double.pi * v))
}
