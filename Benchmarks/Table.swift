internal import Foundation
internal import TestSupport

/// `value` with `digits` decimals.
func fixed(_ value: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", value)
}

/// Seconds for people: `0.412 s`.
func seconds(_ value: Double) -> String {
    "\(fixed(value, value < 10 ? 3 : 1)) s"
}

/// Bytes in MiB: `96 MiB`.
func mebibytes(_ bytes: Int) -> String { "\(fixed(Double(bytes) / 1_048_576, 0)) MiB" }

/// A line on standard error about what goes on.
func progress(_ text: String) {
    FileHandle.standardError.write(Data("  \(text)\n".utf8))
}

/// Prints a Markdown table whose columns are as wide as their widest cell.
func printTable(_ header: [String], _ rows: [[String]]) {
    let widths = header.indices.map { column in
        ([header] + rows).map { $0[column].count }.max() ?? 0
    }
    func line(_ cells: [String]) -> String {
        let padded = zip(cells, widths).map { cell, width in
            cell + String(repeating: " ", count: width - cell.count)
        }
        return "| " + padded.joined(separator: " | ") + " |"
    }
    print(line(header))
    print(line(widths.map { String(repeating: "-", count: $0) }))
    for row in rows { print(line(row)) }
}
