import ContentStore

/// The collector's steps, as in `GarbageCollector.run`.
extension GarbageModel {
    private static let holders: [Set<LockHolder>] = (0..<256).map { mask in
        Set((0..<8).filter { mask & 1 << $0 != 0 }.map { LockHolder(hostname: "h", pid: $0) })
    }

    func collector(_ old: State, _ host: Int, _ each: (State) -> Void) {
        guard !old.collectors[host].isDead else { return }
        var state = old
        var me = state.collectors[host]
        let lock = GarbageModel.collectorBit(host, Int(me.run))
        func done() {
            me.step += 1
            state.collectors[host] = me
            each(state)
        }
        func jump(_ step: UInt8) {
            me.step = step
            state.collectors[host] = me
            each(state)
        }
        switch me.step {
        case 0:
            // One collector at a time.
            guard weakening == .twoCollectors || state.locks & 0xF8 == 0 else { return }
            state.locks |= lock
            done()
        case 1, 14:  // refresh
            me.view = state.files
            me.listing = state.packs
            done()
        case 2:  // census, observation
            me.census = state.locks & ~lock
            observe(&state, host, me)
            if weakening == .snapshotsBeforeLocks {
                me.isLive = old.snapshots != 0
            }
            done()
        case 3, 18:  // the snapshots
            if weakening != .snapshotsBeforeLocks { me.isLive = state.snapshots != 0 }
            done()
        case 4, 19:  // the index
            me.view = state.files
            if weakening == .snapshotsBeforeLocks && me.step == 4 {
                // The locks that count were listed after the snapshots.
                me.census = state.locks & ~lock
            }
            done()
        case 5, 20: sweep(state, host, me, each)
        case 6:  // name again
            if me.again != 0 && me.again & state.packs == 0 { return jump(30) }
            if me.again != 0 { guard state.put(File(packs: me.again)) else { return } }
            done()
        case 7:  // remove
            state.packs &= ~me.remove
            jump(me.isSecondSweep ? 30 : 8)
        case 8: plan(state, host, me, each)
        case 9:  // the copy's index file
            guard state.put(File(packs: GarbageModel.packOfCollector[host])) else { return }
            done()
        case 10:  // the locks again
            me.census = state.locks & ~lock
            if weakening != .noForeignRule && me.census & GarbageModel.resticBit != 0 {
                return jump(30)
            }
            if weakening == .holdersBeforeSwap { me.again = me.census }
            done()
        case 11:  // new snapshots
            let isLive = state.snapshots != 0
            me.view = state.files
            if isLive && !me.isLive {
                me.isLive = true
                // One copy is needed now: which one is any.
                let usable = state.usable(me.view)
                if usable & ~me.drop == 0 { me.drop &= me.drop - 1 }
                if me.drop == 0 { return jump(17) }
            }
            done()
        case 12: swap(state, host, me, each)
        case 13:
            state.files &= ~me.replaced
            me.replaced = 0
            done()
        case 15:  // census after the swap
            me.census = state.locks & ~lock
            observe(&state, host, me)
            if weakening != .noForeignRule && me.census & GarbageModel.resticBit != 0 {
                let again = me.drop & state.marked(me.view)
                if again & state.packs != again { return jump(30) }
                if again != 0 { guard state.put(File(packs: again)) else { return } }
                return jump(30)
            }
            done()
        case 16:  // snapshots after the swap
            me.isLive = state.snapshots != 0
            me.view = state.files
            if me.isLive && state.usable(me.view) & me.listing == 0 {
                let again = state.marked(me.view) & state.packs
                if again == 0 { return jump(30) }
                guard state.put(File(packs: again)) else { return }
            }
            done()
        case 17:  // second sweep: the locks
            me.isSecondSweep = true
            me.census = state.locks & ~lock
            if weakening == .snapshotsBeforeLocks { me.isLive = old.snapshots != 0 }
            done()
        case 30:
            state.locks &= ~lock
            let run = me.run + 1
            me = Agent()
            me.run = run
            jump(Int(run) < cast.runs ? 0 : 100)
        default: return
        }
    }

    private func observe(_ state: inout State, _ host: Int, _ me: Agent) {
        let marked = state.marked(me.view)
        for i in 0..<6 {
            let pack: UInt8 = 1 << UInt8(i)
            guard marked & pack != 0 else {
                if weakening != .staleObservation { state.observed[host][i] = Observation() }
                continue
            }
            let marks = state.marks(of: pack, me.view)
            let old = state.observed[host][i]
            if old.marks == marks { continue }
            if weakening == .staleObservation && old.marks != 0 { continue }
            let holders = weakening == .holdersBeforeSwap && me.step == 15 ? me.again : me.census
            state.observed[host][i] = Observation(marks: marks, holders: holders)
        }
    }

    private func sweep(_ old: State, _ host: Int, _ me: Agent, _ each: (State) -> Void) {
        var state = old
        var me = me
        me.again = 0
        me.remove = 0
        let marked = state.marked(me.view) & me.listing
        let isNeeded = me.isLive && state.usable(me.view) & me.listing == 0
        if isNeeded && weakening != .noLookAtSnapshots {
            me.again = marked
        }
        for i in 0..<6 {
            let pack: UInt8 = 1 << UInt8(i)
            guard marked & pack != 0, me.again & pack == 0 else { continue }
            let seen = state.observed[host][i]
            guard seen.marks != 0 else { continue }
            if weakening != .staleObservation {
                guard seen.marks == state.marks(of: pack, me.view) else { continue }
            }
            let holders = weakening == .noHolders ? 0 : seen.holders
            let ripeness = Ripeness.judge(
                times: [0],
                observation: MarkObservation(
                    marks: "", time: 0, holders: GarbageModel.holders[Int(holders)]),
                present: GarbageModel.holders[Int(me.census)], now: 0, grace: 0)
            if ripeness == .ripe { me.remove |= pack }
        }
        me.step = me.isSecondSweep && me.again == 0 && me.remove == 0 ? 30 : 6
        state.collectors[host] = me
        each(state)
    }

    private func plan(_ old: State, _ host: Int, _ me: Agent, _ each: (State) -> Void) {
        func go(_ change: (inout State, inout Agent) -> Void) {
            var state = old
            var agent = me
            agent.remove = 0
            change(&state, &agent)
            state.collectors[host] = agent
            each(state)
        }
        let usable = old.usable(me.view) & me.listing
        // What nobody lists or marks was left by the dead, if nobody of another host is there.
        let known = old.usable(me.view) | old.marked(me.view)
        let others = old.locks & (GarbageModel.writerBit[0] | GarbageModel.writerBit[1])
        let orphans = others == 0 && !(me.isLive && usable == 0) ? me.listing & ~known : 0
        let isForeign = me.census & GarbageModel.resticBit != 0 && weakening != .noForeignRule
        guard !isForeign, me.again == 0, usable | orphans != 0 else { return go { $1.step = 17 } }
        guard me.isLive else {
            return go { _, agent in
                agent.drop = usable | orphans
                agent.step = 10
            }
        }
        // Any one copy may be the one that stays.
        for i in 0..<6 where usable & 1 << UInt8(i) != 0 {
            let rest = usable & ~(1 << UInt8(i)) | orphans
            go { _, agent in
                agent.drop = rest
                agent.step = rest == 0 ? 17 : 10
            }
        }
        // Or none, and the blob is copied.
        let copy = GarbageModel.packOfCollector[host]
        guard old.packs & copy == 0, usable & copy == 0 else { return }
        go { state, agent in
            state.packs |= copy
            agent.listing |= copy
            agent.drop = usable | orphans
            agent.step = 9
        }
    }

    private func swap(_ old: State, _ host: Int, _ me: Agent, _ each: (State) -> Void) {
        var state = old
        var me = me
        var file = File(packs: 0, marks: me.drop)
        var replaced: UInt16 = 0
        for i in state.contents.indices where me.view & 1 << UInt16(i) != 0 {
            guard state.contents[i].packs & me.drop != 0 else { continue }
            replaced |= 1 << UInt16(i)
            file.packs |= state.contents[i].packs & ~me.drop
            file.marks |= state.contents[i].marks
        }
        file.marks &= ~file.packs
        guard replaced & state.files == replaced else {
            // Somebody has replaced one of them.
            me.step = 30
            state.collectors[host] = me
            return each(state)
        }
        guard state.put(file) else { return }
        me.replaced = replaced
        me.step = 13
        state.collectors[host] = me
        each(state)
    }
}
