import Dehydrator
import Platform
import Testing

/// Files that changed so shortly before they were read that their times prove nothing.
@Suite struct DistrustTests {
    private static let millisecond: Int128 = 1_000_000

    @Test(
        arguments: [
            // The nanoseconds of the ctime, milliseconds until the file was read, distrusted?
            (0, 0, true), (0, 49, true), (0, 1000, true), (0, 1999, true), (0, 2000, false),
            (1, 0, true), (1, 49, true), (1, 50, false), (1, 1999, false),
            (999_999_999, 49, true), (999_999_999, 50, false),
            // A clock that was set back: the change lies in the future.
            (0, -1, true), (1, -5000, true),
        ] as [(UInt32, Int, Bool)])
    func aRecentChangeIsDistrusted(nanoseconds: UInt32, age: Int, distrusted: Bool) {
        let ctime = Timestamp(seconds: 1_700_000_000, nanoseconds: nanoseconds)
        var metadata = FileMetadata(kind: .file, ctime: ctime)
        let read = ctime.nanosecondsSinceEpoch + Int128(age) * Self.millisecond
        metadata.distrustIfRecent(Timestamp(nanosecondsSinceEpoch: read))
        #expect((metadata.ctime != ctime) == distrusted)
    }
}
