package import Platform

extension RepositoryLock {
    /// Calls `body` and gives the repository back, whatever came of it.
    ///
    /// - Throws: the first error; a lock that stays after another error goes with the next command.
    package func during<R>(_ body: () throws -> R) throws -> R {
        let result = Result { try body() }
        do throws(Failure) {
            try release()
        } catch {
            _ = try result.get()
            throw error
        }
        return try result.get()
    }

    /// As `during`, for bodies that throw nothing but failures.
    package func holding<R>(_ body: () throws(Failure) -> R) throws(Failure) -> R {
        let value: R
        do throws(Failure) {
            value = try body()
        } catch {
            try? release()
            throw error
        }
        try release()
        return value
    }
}
