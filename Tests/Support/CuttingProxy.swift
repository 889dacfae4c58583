internal import Foundation
internal import Platform

/// Stands between a client and a web server, counts requests, and cuts connections.
package final class CuttingProxy: Sendable {
    /// Where in a request and its answer the connection ends.
    package enum Cut: String, Sendable, CaseIterable {
        /// Before the server sees anything of the request.
        case beforeRequest
        /// When the server has seen half of what came at first.
        case inRequest
        /// When the server has answered, before the client sees anything of it.
        case beforeAnswer
        /// In the middle of the first piece of the answer.
        case inAnswer
    }

    private struct State {
        var requests: [String] = []
        var refusals = 0
        var plan: (number: Int, cut: Cut)?
        var hasCut = false
    }

    private let listener: LocalListener
    private let state: Monitor<State>

    /// Where it listens.
    package var port: Int { listener.port }

    /// `METHOD PATH` of the requests since the last call of `begin`.
    package var requests: [String] { state.with { $0.requests } }

    /// Answers since then that say that the server has too much to do: the request comes again.
    package var refusals: Int { state.with { $0.refusals } }

    /// Whether the planned cut was made.
    package var hasCut: Bool { state.with { $0.hasCut } }

    /// Starts to count anew; the request `number`, from 0, is cut.
    package func begin(cutting number: Int? = nil, _ cut: Cut = .beforeRequest) {
        state.with { $0 = State(plan: number.map { ($0, cut) }) }
    }

    /// Forwards to `port` of this machine.
    package init(to port: Int) throws {
        let state = Monitor(State())
        self.state = state
        listener = try LocalListener { client in
            guard let server = LocalListener.connect(port) else {
                close(client)
                return
            }
            CuttingProxy.serve(client, server, state)
        }
    }

    /// Relays requests one after the other: neither side sends several ahead.
    private static func serve(_ client: Int32, _ server: Int32, _ state: Monitor<State>) {
        let cut = Monitor<Cut?>(nil)
        let answers = DedicatedThread(name: "answers") {
            while let bytes = read(server) {
                if bytes.starts(with: Array("HTTP/1.1 503".utf8)) {
                    state.with { $0.refusals += 1 }
                }
                switch cut.with({ $0 }) {
                case .beforeAnswer: break
                case .inAnswer: _ = LocalServer.write(client, Array(bytes.prefix(bytes.count / 2)))
                default:
                    if LocalServer.write(client, bytes) { continue }
                }
                break
            }
            shutdown(client, Int32(SHUT_RDWR))
            shutdown(server, Int32(SHUT_RDWR))
        }
        var rest = 0
        while let bytes = read(client) {
            if rest <= 0 {
                let (line, length) = head(bytes)
                rest = length
                let planned = state.with { state -> Cut? in
                    let number = state.requests.count
                    state.requests.append(line)
                    guard let plan = state.plan, plan.number == number else { return nil }
                    state.hasCut = true
                    return plan.cut
                }
                cut.with { $0 = planned }
                if planned == .beforeRequest { break }
                if planned == .inRequest {
                    _ = LocalServer.write(server, Array(bytes.prefix(bytes.count / 2)))
                    break
                }
            }
            rest -= bytes.count
            guard LocalServer.write(server, bytes) else { break }
        }
        shutdown(server, Int32(SHUT_RDWR))
        shutdown(client, Int32(SHUT_RDWR))
        answers.join()
        close(server)
        close(client)
    }

    /// The first line of a request, and how many bytes it has, head and body.
    private static func head(_ bytes: [UInt8]) -> (line: String, length: Int) {
        let text = String(decoding: bytes.prefix(16384), as: UTF8.self)
        let head = text.components(separatedBy: "\r\n\r\n")[0]
        let lines = head.components(separatedBy: "\r\n")
        var length = 0
        for line in lines where line.lowercased().hasPrefix("content-length:") {
            length = Int(line.dropFirst(15).trimmingCharacters(in: .whitespaces)) ?? 0
        }
        let words = lines[0].split(separator: " ")
        return (words.prefix(2).joined(separator: " "), head.utf8.count + 4 + length)
    }

    private static func read(_ socket: Int32) -> [UInt8]? {
        var block = [UInt8](repeating: 0, count: 256 << 10)
        let n = recv(socket, &block, block.count, 0)
        return n > 0 ? Array(block[..<n]) : nil
    }
}
