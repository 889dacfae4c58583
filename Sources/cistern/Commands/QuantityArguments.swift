internal import ArgumentParser
internal import Dispatcher

/// A length of time: `90s`, `1.5h`, `7d`, `4w`, or a number of seconds.
struct DurationArgument: ExpressibleByArgument {
    var seconds: Double
    let defaultValueDescription: String

    init?(argument: String) {
        guard let value = Quantity.seconds(argument) else { return nil }
        self.init(value, argument)
    }

    /// The value of an option that was not given, and how help shows it.
    init(_ seconds: Double, _ text: String) {
        self.seconds = seconds
        defaultValueDescription = text
    }
}

/// A share: `5%` or `0.05`.
struct ShareArgument: ExpressibleByArgument {
    /// 1 for all.
    var share: Double
    let defaultValueDescription: String

    init?(argument: String) {
        guard let value = Quantity.share(argument) else { return nil }
        self.init(value, argument)
    }

    /// The value of an option that was not given, and how help shows it.
    init(_ share: Double, _ text: String) {
        self.share = share
        defaultValueDescription = text
    }
}

/// A number of bytes: `500M`, `1.5G`, `4096`.
struct SizeArgument: ExpressibleByArgument {
    var bytes: UInt64
    let defaultValueDescription: String

    init?(argument: String) {
        guard let value = Quantity.bytes(argument) else { return nil }
        self.init(value, argument)
    }

    /// The value of an option that was not given, and how help shows it.
    init(_ bytes: UInt64, _ text: String) {
        self.bytes = bytes
        defaultValueDescription = text
    }
}
