import Dispatcher
import Testing

/// Sizes, times and shares as options take them.
@Suite struct QuantityTests {
    @Test(arguments: [
        ("90s", 90), ("90m", 5400), ("1.5h", 5400), ("24h", 86400), ("7d", 604_800),
        ("4w", 2_419_200), ("90", 90), ("0", 0), ("0.5", 0.5), ("0s", 0),
    ])
    func seconds(text: String, value: Double) { #expect(Quantity.seconds(text) == value) }

    @Test(arguments: [
        "", "s", "-1", "-1s", "+5", "1e3", "0x5d", "nan", "inf", "1h30m", "5 m", "1.2.3", "5M",
        "5y",
        "99999999999", "20000w",
    ])
    func noSeconds(text: String) { #expect(Quantity.seconds(text) == nil) }

    @Test(arguments: [
        ("5%", 0.05), ("0.05", 0.05), ("0", 0), ("0%", 0), ("1", 1), ("100%", 1), ("150%", 1.5),
        ("2.5%", 0.025),
    ])
    func share(text: String, value: Double) { #expect(Quantity.share(text) == value) }

    /// `5` is 5 % to some and 500 % to others.
    @Test(arguments: ["", "%", "5", "1.5", "-5%", "5%%", "nan", "inf%", "1e9%", "five"])
    func noShare(text: String) { #expect(Quantity.share(text) == nil) }

    @Test(
        arguments: [
            ("4096", 4096), ("500M", 500 << 20), ("1.5G", 3 << 29), ("1k", 1024), ("2GiB", 2 << 30),
            ("10B", 10), ("3T", 3 << 40), ("0", 0),
        ] as [(String, UInt64)])
    func bytes(text: String, value: UInt64) { #expect(Quantity.bytes(text) == value) }

    @Test(arguments: ["", "B", "M", "-1", "1e3", "nan", "9999999999T", "5m%"])
    func noBytes(text: String) { #expect(Quantity.bytes(text) == nil) }
}
