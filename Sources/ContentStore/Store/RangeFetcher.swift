internal import Platform

/// Reads ranges of packs on threads of its own, so that nobody has to wait for them one by one.
///
/// The threads start when first needed and end with the fetcher. What nobody waits for any more is
/// not read. Usable from any thread; who calls bounds how much is asked for.
final class RangeFetcher: Sendable {
    /// The bytes of one range, now or soon.
    final class Fetch: Sendable {
        private enum State {
            /// Nobody reads them until somebody waits.
            case idle
            case underWay
            /// Nil: they could not be had.
            case done([UInt8]?)
        }

        private let state: Monitor<State>
        private let backend: any Backend
        private let pack: Digest
        private let range: Range<UInt64>
        private let buffers: Monitor<[[UInt8]]>

        fileprivate init(
            _ backend: any Backend, _ pack: Digest, _ range: Range<UInt64>, isLazy: Bool,
            _ buffers: Monitor<[[UInt8]]>
        ) {
            state = Monitor(isLazy ? .idle : .underWay)
            self.buffers = buffers
            self.backend = backend
            self.pack = pack
            self.range = range
        }

        deinit {
            guard
                case .done(var bytes?) = state.with({ state in
                    let last = state
                    state = .done(nil)
                    return last
                })
            else { return }
            guard bytes.capacity <= RangeFetcher.bufferSize else { return }
            bytes.removeAll(keepingCapacity: true)
            buffers.with { if $0.count < RangeFetcher.bufferLimit { $0.append(bytes) } }
        }

        fileprivate func read() {
            var bytes = buffers.with { $0.popLast() } ?? []
            bytes.reserveCapacity(range.count)
            // Whoever needs them reads them again alone, and is told why they cannot be had.
            let isRead = (try? backend.read(ObjectKey(.pack, pack), range, into: &bytes)) != nil
            state.with { $0 = .done(isRead ? bytes : nil) }
        }

        /// Waits for the bytes; nil when they could not be had.
        func wait() -> [UInt8]? {
            let isMine = state.with { state in
                guard case .idle = state else { return false }
                state = .underWay
                return true
            }
            if isMine { read() }
            return state.wait { state -> [UInt8]?? in
                guard case .done(let bytes) = state else { return nil }
                return .some(bytes)
            }
        }
    }

    private struct State {
        var waiting: [Fetch] = []
        var threads: [DedicatedThread] = []
        var idle = 0
        var isClosed = false
    }

    private let backend: any Backend
    private let threadLimit: Int
    private let state = Monitor(State())
    /// Used ones, for those that come: new memory costs as much as filling it.
    private let buffers = Monitor<[[UInt8]]>([])
    private static let bufferLimit = 4
    /// Larger ones are given back.
    private static let bufferSize = 4 << 20

    /// - Parameter threads: with none, each range is read by whoever waits for it first.
    init(_ backend: any Backend, threads: Int) {
        self.backend = backend
        threadLimit = threads
    }

    deinit {
        let threads = state.with { state in
            state.isClosed = true
            return state.threads
        }
        for thread in threads { thread.join() }
    }

    /// Begins to read `range` of `pack`.
    func fetch(_ pack: Digest, _ range: Range<UInt64>) -> Fetch {
        let fetch = Fetch(backend, pack, range, isLazy: threadLimit == 0, buffers)
        guard threadLimit > 0 else { return fetch }
        state.with { state in
            state.waiting.append(fetch)
            guard state.waiting.count > state.idle, state.threads.count < threadLimit else {
                return
            }
            // Holds the state alone, so that the fetcher can end.
            state.threads.append(
                DedicatedThread(name: "fetch") { [state = self.state] in RangeFetcher.work(state) })
        }
        return fetch
    }

    private static func work(_ state: Monitor<State>) {
        while true {
            state.with { $0.idle += 1 }
            let next = state.wait { state -> Fetch?? in
                if state.isClosed { return .some(nil) }
                guard !state.waiting.isEmpty else { return nil }
                state.idle -= 1
                return state.waiting.removeFirst()
            }
            guard var next else { return }
            if !isKnownUniquelyReferenced(&next) { next.read() }
        }
    }
}
