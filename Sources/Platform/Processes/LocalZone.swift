internal import Glibc

/// How far a zone's clocks are from UTC at a time: the machine's zone in programs, a set one in
/// tests.
package struct LocalZone: Sendable {
    /// Seconds east of UTC at a time in seconds since the epoch.
    package let offset: @Sendable (_ seconds: Int64) -> Int64

    package init(offset: @escaping @Sendable (_ seconds: Int64) -> Int64) {
        self.offset = offset
    }

    /// No offset at any time.
    package static let utc = LocalZone { _ in 0 }

    /// The machine's zone: $TZ, else /etc/localtime, with its summer times.
    package static let system: LocalZone = {
        tzset()
        return LocalZone { seconds in
            var time = time_t(seconds)
            var fields = unsafe tm()
            // It fails for years that do not fit; UTC is as good as anything then.
            guard unsafe localtime_r(&time, &fields) != nil else { return 0 }
            return unsafe Int64(fields.tm_gmtoff)
        }
    }()
}
