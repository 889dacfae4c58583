package import Platform

/// Whether the times of snapshots can be believed, before anything is removed by them.
package enum RetentionClock {
    /// Seconds that a snapshot may be in the future: the clocks of two hosts differ a little.
    package static let tolerance: Int64 = 300
    /// A pause in a store's history after which the clock may have jumped, in seconds: a year, or
    /// less when the rules reach less far back.
    static let gap: Int64 = 366 * 86_400
    /// For how long what follows such a pause is doubted, in seconds: two days.
    static let doubt: Int64 = 2 * 86_400

    /// Looks at the times of a module's snapshots and of all of the store.
    ///
    /// - Parameters:
    ///   - reach: seconds before the newest snapshot beyond which the rules keep nothing, if they
    ///     go by time alone: one jump so far would take all that there was before.
    ///   - trusted: somebody says that the times are right; a snapshot from the future is refused
    ///     all the same.
    /// - Throws: an `unhealthy` failure when a snapshot is from the future (the clock went back, or
    ///   was ahead when that snapshot was made), and when all that is new begins within two days
    ///   after a pause of more than a year or `reach` (the clock may have jumped ahead).
    package static func check(
        _ snapshots: [RetentionSnapshot], among all: [RetentionSnapshot], now: Timestamp,
        reach: Int64? = nil, trusted: Bool = false
    ) throws(Failure) {
        guard let newest = snapshots.max(by: { $1.isNewer(than: $0) }) else { return }
        let ahead = newest.time.seconds - now.seconds
        guard ahead <= tolerance else {
            throw Failure(
                .unhealthy,
                "nothing is pruned: snapshot \(newest.id.short) is \(ahead) seconds in the future",
                cause: "the clock went back, or was ahead when that snapshot was made",
                hint: "Set the clock right; if that snapshot's time is wrong, remove it with "
                    + "`restic forget \(newest.id.short)`.")
        }
        guard !trusted else { return }
        try checkPause(
            all.sorted { $0.isNewer(than: $1) }, gap: max(doubt, min(gap, reach ?? gap)))
    }

    private static func checkPause(
        _ sorted: [RetentionSnapshot], gap: Int64
    ) throws(Failure) {
        guard let newest = sorted.first else { return }
        var younger = newest
        for snapshot in sorted.dropFirst() {
            guard newest.time.seconds - younger.time.seconds <= doubt else { return }
            let pause = younger.time.seconds - snapshot.time.seconds
            guard pause <= gap else {
                throw Failure(
                    .unhealthy,
                    "nothing is pruned: before snapshot \(younger.id.short) there was none for "
                        + "\(pause / 86_400) days",
                    cause: "the clock may have jumped ahead, which would make all others look old",
                    hint: "If the clock is right, say --trust-clock.")
            }
            younger = snapshot
        }
    }
}
