internal import Platform

/// A table for people: columns as wide as their widest cell, numbers to the right.
struct Table {
    /// A column's title and side.
    struct Column {
        var title: String
        var alignRight: Bool

        static func left(_ title: String) -> Column { Column(title: title, alignRight: false) }
        static func right(_ title: String) -> Column { Column(title: title, alignRight: true) }
    }

    private let columns: [Column]
    private var rows: [[String]] = []

    init(_ columns: [Column]) { self.columns = columns }

    /// Adds a row; control characters in cells are shown as `?` so that no cell breaks the table.
    mutating func add(_ cells: [String]) {
        rows.append(
            cells.map { cell in
                var text = String.UnicodeScalarView()
                for scalar in cell.unicodeScalars {
                    let isControl = scalar.value < 0x20 || scalar.value == 0x7F
                    text.append(isControl ? (scalar == "\n" ? " " : "?") : scalar)
                }
                return String(text)
            })
    }

    /// The lines, each with its newline.
    var text: String {
        var widths = columns.map(\.title.count)
        for row in rows {
            for (i, cell) in row.enumerated() where i < widths.count {
                widths[i] = max(widths[i], cell.count)
            }
        }
        var text = line(columns.map(\.title), widths)
        for row in rows { text += line(row, widths) }
        return text
    }

    private func line(_ cells: [String], _ widths: [Int]) -> String {
        var line = ""
        for (i, cell) in cells.enumerated() where i < columns.count {
            let padding = String(repeating: " ", count: widths[i] - cell.count)
            line += (i > 0 ? "  " : "") + (columns[i].alignRight ? padding + cell : cell + padding)
        }
        while line.last == " " { line.removeLast() }
        return line + "\n"
    }
}
