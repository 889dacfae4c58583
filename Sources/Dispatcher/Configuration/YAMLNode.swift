internal import Platform
internal import Yams

/// A place in a YAML file: line and column, both from 1.
struct Place: Sendable, Equatable {
    var line: Int
    var column: Int

    /// The start of the file.
    static let start = Place(line: 1, column: 1)
}

/// A node of a YAML document with its place: what the readers of configuration work on.
///
/// This file is the only one that knows the YAML library.
struct YAMLNode: Sendable {
    /// What a node holds.
    indirect enum Content: Sendable {
        case null
        /// A scalar's text; `plain` when it stands without quotes.
        case scalar(String, plain: Bool)
        case sequence([YAMLNode])
        case mapping([Entry])
    }

    /// One key of a mapping with its value.
    struct Entry: Sendable {
        var key: String
        var place: Place
        var value: YAMLNode
    }

    var content: Content
    var place: Place

    /// What the node is, for messages.
    var kind: String {
        switch content {
        case .null: "nothing"
        case .scalar(let text, _): "`\(text)`"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }
}

/// A syntax error of a YAML file.
struct YAMLSyntaxError: Error, Equatable {
    var place: Place
    var message: String
}

extension YAMLNode {
    /// The largest number of nodes of one file.
    ///
    /// References (`*name`) are copied in place, so that a
    /// small file could otherwise stand for an unbounded tree.
    private static let nodeLimit = 200_000

    /// Reads one YAML document; a file without content gives an empty mapping.
    static func parse(_ text: String) throws(YAMLSyntaxError) -> YAMLNode {
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw YAMLSyntaxError(error)
        } catch {
            throw YAMLSyntaxError(place: .start, message: "\(error)")
        }
        guard let root else { return YAMLNode(content: .mapping([]), place: .start) }
        var budget = nodeLimit
        return try convert(root, parent: .start, &budget)
    }

    private static func convert(
        _ node: Node, parent: Place, _ budget: inout Int
    ) throws(YAMLSyntaxError) -> YAMLNode {
        let place = node.mark.map { Place(line: $0.line, column: $0.column) } ?? parent
        budget -= 1
        guard budget > 0 else {
            throw YAMLSyntaxError(place: place, message: "more than \(nodeLimit) values")
        }
        switch node {
        case .scalar(let scalar):
            let plain = scalar.style == .plain || scalar.style == .any
            let isNull = plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
            return YAMLNode(
                content: isNull ? .null : .scalar(scalar.string, plain: plain), place: place)
        case .sequence(let sequence):
            var items: [YAMLNode] = []
            for item in sequence { items.append(try convert(item, parent: place, &budget)) }
            return YAMLNode(content: .sequence(items), place: place)
        case .mapping(let mapping):
            var entries: [Entry] = []
            for (key, value) in mapping {
                let key = try convert(key, parent: place, &budget)
                let text =
                    switch key.content {
                    case .scalar(let text, _): text
                    default:
                        throw YAMLSyntaxError(
                            place: key.place, message: "a key must be a word, not \(key.kind)")
                    }
                let value = try convert(value, parent: key.place, &budget)
                entries.append(Entry(key: text, place: key.place, value: value))
            }
            return YAMLNode(content: .mapping(entries), place: place)
        case .alias:
            throw YAMLSyntaxError(place: place, message: "a reference to nothing")
        }
    }
}

extension YAMLSyntaxError {
    fileprivate init(_ error: YamlError) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            self.init(place: Place(line: mark.line, column: mark.column), message: problem)
        case .duplicatedKeysInMapping(let duplicates, let context):
            let names = duplicates.sorted().map { "`\($0)`" }.joined(separator: ", ")
            self.init(
                place: Place(line: context.mark.line, column: context.mark.column),
                message: "the mapping that starts here has a key twice: \(names)")
        default:
            self.init(place: .start, message: "\(error)")
        }
    }
}
