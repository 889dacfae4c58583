package import Platform

/// A backend whose calls are made again after errors that may pass.
///
/// All of them are safe to repeat: see `Backend`. What is read whole is compared with its name, and
/// read once more when it is not that: a transfer may spoil what the place holds well. Packs are
/// left to their readers, who know which of their bytes they need.
package final class RetryingBackend: Backend {
    /// The backend whose calls are repeated.
    package let base: any Backend
    private let policy: BackendRetryPolicy
    private let surroundings: RetrySurroundings
    /// When calls are given time again, after one has failed for good.
    private let restUntil = Monitor(-Double.infinity)
    private let retried = Monitor(0)

    /// Repeats the calls of `base` as `policy` says.
    package init(
        _ base: any Backend, policy: BackendRetryPolicy = BackendRetryPolicy(),
        surroundings: RetrySurroundings = .real
    ) {
        self.base = base
        self.policy = policy
        self.surroundings = surroundings
    }

    package var location: String { base.location }
    package var versioned: (any VersionedBackend)? { base.versioned }

    /// How many calls were made again.
    package var retries: Int { retried.with { $0 } }

    package func put(_ key: ObjectKey, _ bytes: Span<UInt8>) throws(BackendError) {
        var attempts = begin()
        while true {
            do throws(BackendError) {
                try base.put(key, bytes)
                return succeeded()
            } catch {
                try again(&attempts, error)
            }
        }
    }

    package func put(
        _ key: ObjectKey, from file: borrowing Descriptor, size: UInt64
    ) throws(BackendError) {
        var attempts = begin()
        while true {
            do throws(BackendError) {
                try base.put(key, from: file, size: size)
                return succeeded()
            } catch {
                try again(&attempts, error)
            }
        }
    }

    package func get(_ key: ObjectKey, limit: Int) throws(BackendError) -> [UInt8] {
        var attempts = begin()
        while true {
            do throws(BackendError) {
                let bytes = try base.get(key, limit: limit)
                // Wrong bytes are given out in the end: their reader says what is wrong with them.
                if RetryingBackend.isRight(bytes, key) || !attempts.mayReadAgain() {
                    succeeded()
                    return bytes
                }
                noteRetry()
            } catch {
                try again(&attempts, error, reading: true)
            }
        }
    }

    package func read(
        _ key: ObjectKey, _ range: Range<UInt64>, into output: inout [UInt8]
    ) throws(BackendError) {
        var attempts = begin()
        while true {
            do throws(BackendError) {
                try base.read(key, range, into: &output)
                return succeeded()
            } catch {
                try again(&attempts, error, reading: true)
            }
        }
    }

    package func size(_ key: ObjectKey) throws(BackendError) -> UInt64? {
        var attempts = begin()
        while true {
            do throws(BackendError) {
                let size = try base.size(key)
                succeeded()
                return size
            } catch {
                try again(&attempts, error)
            }
        }
    }

    /// Listings are given out when they are whole: what a broken one has given cannot be taken
    /// back, and each object is listed once.
    package func list(
        _ kind: ObjectKind, _ each: (_ id: Digest, _ size: UInt64) throws(BackendError) -> Void
    ) throws(BackendError) {
        var attempts = begin()
        var found: [(id: Digest, size: UInt64)] = []
        while true {
            do throws(BackendError) {
                found.removeAll(keepingCapacity: true)
                try base.list(kind) { id, size in found.append((id, size)) }
                succeeded()
                break
            } catch {
                try again(&attempts, error)
            }
        }
        for object in found { try each(object.id, object.size) }
    }

    package func listTogether(
        _ each: (_ key: ObjectKey, _ size: UInt64) throws(BackendError) -> Void
    ) throws(BackendError) -> Bool {
        var attempts = begin()
        var found: [(key: ObjectKey, size: UInt64)] = []
        while true {
            do throws(BackendError) {
                found.removeAll(keepingCapacity: true)
                let isWhole = try base.listTogether { key, size in found.append((key, size)) }
                succeeded()
                guard isWhole else { return false }
                break
            } catch {
                try again(&attempts, error)
            }
        }
        for object in found { try each(object.key, object.size) }
        return true
    }

    package func remove(_ key: ObjectKey) throws(BackendError) {
        var attempts = begin()
        while true {
            do throws(BackendError) {
                try base.remove(key)
                return succeeded()
            } catch {
                try again(&attempts, error)
            }
        }
    }

    package func remove(_ keys: [ObjectKey]) throws(BackendError) {
        var attempts = begin()
        while true {
            do throws(BackendError) {
                try base.remove(keys)
                return succeeded()
            } catch {
                try again(&attempts, error)
            }
        }
    }

    package func removeLeftovers(olderThan time: Timestamp) throws(BackendError) -> Int {
        var attempts = begin()
        while true {
            do throws(BackendError) {
                let count = try base.removeLeftovers(olderThan: time)
                succeeded()
                return count
            } catch {
                try again(&attempts, error)
            }
        }
    }

    private func begin() -> Attempts {
        let isResting = surroundings.now() < restUntil.with { $0 }
        return Attempts(policy, surroundings, quick: isResting)
    }

    private func succeeded() {
        restUntil.with { $0 = -Double.infinity }
    }

    private func noteRetry() {
        retried.with { $0 += 1 }
    }

    private func again(
        _ attempts: inout Attempts, _ error: BackendError, reading isRead: Bool = false
    ) throws(BackendError) {
        do throws(BackendError) {
            try attempts.failed(error, reading: isRead)
        } catch {
            if case .temporary = error {
                restUntil.with { $0 = surroundings.now() + policy.restTime }
            }
            throw error
        }
        noteRetry()
    }

    private static func isRight(_ bytes: [UInt8], _ key: ObjectKey) -> Bool {
        guard let id = key.id, key.kind != .pack else { return true }
        return SHA256Hasher.hash(bytes.span) == id
    }
}
