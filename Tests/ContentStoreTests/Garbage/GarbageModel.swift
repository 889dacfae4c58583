import ContentStore

/// A small model of a store with one blob, and of everybody who may work on it at once: the steps
/// of each agent are those of the programs, one durable effect or one look at the store a step.
///
/// Agents: garbage collectors on two hosts (each runs twice), two Cistern writers that store the
/// same content, a restic backup, a restic prune, a forget, and death at any step.
struct GarbageModel {
    /// A rule left out, to see that it is needed.
    enum Weakening: CaseIterable {
        case none
        /// Packs are removed whoever was there when they were marked.
        case noHolders
        /// Who is there is noted before the old index files go.
        case holdersBeforeSwap
        /// The snapshots that decide were listed before the locks.
        case snapshotsBeforeLocks
        /// Marks are made although restic is running.
        case noForeignRule
        /// What was observed of a pack counts for later marks of it too.
        case staleObservation
        /// Snapshots are not looked at again before the removal.
        case noLookAtSnapshots
        /// A writer takes over marked packs that its index has not.
        case writersUseMarked
        /// Collectors on two hosts at once.
        case twoCollectors
        /// A writer takes over what a dead one of its host left, although it is marked.
        case adoptMarked
    }

    /// Who takes part.
    struct Cast: Sendable, CustomStringConvertible {
        var collectors = 1
        var runs = 2
        var writers = 1
        var restic = false
        var prune = false
        var forget = true
        var deaths = 1
        /// Writers look at the index again after their snapshot, as Cistern's do.
        var lookAgain = true

        var description: String {
            "\(collectors)x\(runs) gc, \(writers) writers, \(restic ? "restic, " : "")"
                + "\(prune ? "prune, " : "")\(forget ? "forget, " : "")\(deaths) deaths"
                + (lookAgain ? "" : ", not looking again")
        }
    }

    static let maximumFiles = 14
    // Packs, each with the blob: the first, one of each writer, of restic, of each collector.
    static let first: UInt8 = 1
    static let packOfWriter: [UInt8] = [2, 4]
    static let packOfRestic: UInt8 = 8
    static let packOfCollector: [UInt8] = [16, 32]
    // Holders of locks.
    static let writerBit: [UInt8] = [1, 2]
    static let resticBit: UInt8 = 4
    static func collectorBit(_ host: Int, _ run: Int) -> UInt8 { 8 << UInt8(host * 2 + run) }
    // Snapshots.
    static let oldSnapshot: UInt8 = 1
    static let snapshotOfWriter: [UInt8] = [2, 4]
    static let snapshotOfRestic: UInt8 = 8

    struct File: Hashable {
        var packs: UInt8 = 0
        var marks: UInt8 = 0
    }

    struct Observation: Hashable {
        var marks: UInt16 = 0
        var holders: UInt8 = 0
    }

    struct Agent: Hashable {
        var step: UInt8 = 0
        var isDead = false
        /// The index files it has loaded.
        var view: UInt16 = 0
        /// The packs that were there at its last listing.
        var listing: UInt8 = 0
        var census: UInt8 = 0
        var isLive = false
        /// What a collector marks, removes, or names again; what a writer relies on.
        var drop: UInt8 = 0
        var remove: UInt8 = 0
        var again: UInt8 = 0
        /// The index files that a collector has replaced.
        var replaced: UInt16 = 0
        var isSecondSweep = false
        var run: UInt8 = 0
    }

    struct State: Hashable {
        var packs = GarbageModel.first
        var snapshots = GarbageModel.oldSnapshot
        var locks: UInt8 = 0
        /// Index files that are there, by number, and what each has, or had.
        var files: UInt16 = 1
        var contents: [File] = [File(packs: GarbageModel.first)]
        var collectors: [Agent]
        /// What each host has observed of each pack.
        var observed: [[Observation]]
        var writers: [Agent]
        var restic = Agent()
        var hasPruned = false
        var hasForgotten = false
        var deaths: UInt8 = 0

        func usable(_ files: UInt16) -> UInt8 { fold(files) { $0.packs } }
        func marked(_ files: UInt16) -> UInt8 { fold(files) { $0.marks } & ~usable(files) }

        private func fold(_ files: UInt16, _ field: (File) -> UInt8) -> UInt8 {
            var result: UInt8 = 0
            for i in contents.indices where files & 1 << UInt16(i) != 0 {
                result |= field(contents[i])
            }
            return result
        }

        /// The index files that mark a pack: a later mark is another file.
        func marks(of pack: UInt8, _ files: UInt16) -> UInt16 {
            var result: UInt16 = 0
            for i in contents.indices where files & 1 << UInt16(i) != 0 {
                if contents[i].marks & pack != 0 { result |= 1 << UInt16(i) }
            }
            return result
        }

        mutating func put(_ file: File) -> Bool {
            // Content has its name: the same file twice is one.
            guard contents.count < GarbageModel.maximumFiles else { return false }
            files |= 1 << UInt16(contents.count)
            contents.append(file)
            return true
        }
    }

    let cast: Cast
    let weakening: Weakening

    var start: State {
        State(
            collectors: [Agent](repeating: Agent(), count: cast.collectors),
            observed: [[Observation]](
                repeating: [Observation](repeating: Observation(), count: 6),
                count: cast.collectors),
            writers: [Agent](repeating: Agent(), count: cast.writers))
    }

    /// Whether a snapshot refers to the blob and no pack has it any more.
    func isLost(_ state: State) -> Bool { state.snapshots != 0 && state.packs == 0 }

    /// Whether restic finds no copy of a blob that a snapshot refers to, although nobody is at work
    /// and nobody was killed.
    func isBroken(_ state: State) -> Bool {
        cast.lookAgain && state.locks == 0 && state.deaths == 0 && state.snapshots != 0
            && state.usable(state.files) & state.packs == 0
    }

    /// All states that one step of anybody leads to.
    func next(_ state: State, _ each: (State) -> Void) {
        for host in state.collectors.indices {
            collector(state, host, each)
            die(state, \.collectors[host], each)
        }
        for i in state.writers.indices {
            writer(state, i, each)
            die(state, \.writers[i], each)
        }
        if cast.restic {
            restic(state, each)
            die(state, \.restic, each)
        }
        if cast.prune && !state.hasPruned && state.locks == 0 { prune(state, each) }
        if cast.forget && !state.hasForgotten {
            var state = state
            state.snapshots &= ~GarbageModel.oldSnapshot
            state.hasForgotten = true
            each(state)
        }
        unlockTheDead(state, each)
    }

    private func die(
        _ state: State, _ agent: WritableKeyPath<State, Agent>, _ each: (State) -> Void
    ) {
        guard state.deaths < cast.deaths, !state[keyPath: agent].isDead,
            state[keyPath: agent].step > 0, state[keyPath: agent].step < 100
        else { return }
        var state = state
        state.deaths += 1
        state[keyPath: agent].isDead = true
        each(state)
    }

    private func unlockTheDead(_ state: State, _ each: (State) -> Void) {
        var dead: UInt8 = 0
        for (host, agent) in state.collectors.enumerated() where agent.isDead {
            dead |= GarbageModel.collectorBit(host, Int(agent.run))
        }
        for (i, agent) in state.writers.enumerated() where agent.isDead {
            dead |= GarbageModel.writerBit[i]
        }
        if state.restic.isDead { dead |= GarbageModel.resticBit }
        guard state.locks & dead != 0 else { return }
        var state = state
        state.locks &= ~dead
        for host in state.collectors.indices where state.collectors[host].isDead {
            // The next run of the host begins; what it had in memory is gone.
            let run = state.collectors[host].run + 1
            state.collectors[host] = Agent()
            state.collectors[host].run = run
            state.collectors[host].step = Int(run) < cast.runs ? 0 : 100
        }
        each(state)
    }

    // MARK: Others

    private func writer(_ old: State, _ i: Int, _ each: (State) -> Void) {
        guard !old.writers[i].isDead else { return }
        var state = old
        var me = state.writers[i]
        switch me.step {
        case 0: state.locks |= GarbageModel.writerBit[i]
        case 1:
            me.view = state.files
            me.listing = state.packs
        case 2:
            var usable = state.usable(me.view) & me.listing
            if weakening == .writersUseMarked { usable |= state.marked(me.view) & me.listing }
            me.drop = usable
            let left = i == 1 ? abandoned(state, me) : 0
            if usable != 0 {
                me.step = 3
            } else if left != 0 {
                me.drop = left
            } else {
                me.drop = GarbageModel.packOfWriter[i]
                state.packs |= me.drop
            }
        case 3:
            guard state.put(File(packs: me.drop)) else { return }
        case 4:
            state.snapshots |= GarbageModel.snapshotOfWriter[i]
            if !cast.lookAgain { me.step = 7 }
        case 5: me.view = state.files
        case 6:
            // What it relies on and nobody lists any more, if it is there.
            me.again = state.usable(me.view) & me.drop == 0 ? me.drop & state.packs : 0
            if me.again == 0 { me.step = 7 }
        case 7: guard state.put(File(packs: me.again)) else { return }
        case 8:
            state.locks &= ~GarbageModel.writerBit[i]
            me = Agent(step: 99)
        default: return
        }
        me.step += 1
        state.writers[i] = me
        each(state)
    }

    /// What the first writer, of the same host, uploaded before it died, and its journal knows.
    private func abandoned(_ state: State, _ me: Agent) -> UInt8 {
        guard state.writers[0].isDead, state.locks & GarbageModel.writerBit[0] == 0 else {
            return 0
        }
        var known = state.usable(me.view)
        if weakening != .adoptMarked { known |= state.marked(me.view) }
        return me.listing & GarbageModel.packOfWriter[0] & ~known
    }

    private func restic(_ old: State, _ each: (State) -> Void) {
        guard !old.restic.isDead else { return }
        var state = old
        var me = state.restic
        switch me.step {
        case 0: state.locks |= GarbageModel.resticBit
        case 1: me.view = state.files
        case 2:
            if state.usable(me.view) != 0 {
                me.step = 3
            } else {
                state.packs |= GarbageModel.packOfRestic
            }
        case 3: guard state.put(File(packs: GarbageModel.packOfRestic)) else { return }
        case 4: state.snapshots |= GarbageModel.snapshotOfRestic
        case 5:
            state.locks &= ~GarbageModel.resticBit
            me = Agent(step: 99)
        default: return
        }
        me.step += 1
        state.restic = me
        each(state)
    }

    /// Under an exclusive lock: one step, because nobody else holds one.
    private func prune(_ old: State, _ each: (State) -> Void) {
        var state = old
        state.hasPruned = true
        let usable = state.usable(state.files) & state.packs
        if state.snapshots != 0 {
            // It refuses when the index lacks a blob.
            guard usable != 0 else { return each(state) }
            state.packs = usable & ~(usable - 1)
        } else {
            state.packs = 0
        }
        let files = state.packs
        state.files = 0
        if files != 0 { guard state.put(File(packs: files)) else { return } }
        each(state)
    }
}
