internal import Platform

/// Tells content that is not worth compressing (already compressed, encrypted, random) by trying
/// zstd on samples of it; not for use by two threads at once.
package final class CompressibilityProbe {
    private static let sampleLength = 4 << 10
    /// One sample for so many bytes, and some at least.
    private static let spacing = 192 << 10
    private static let leastSamples = 4
    /// A sample that shrinks by a thirty-second or more is worth compressing.
    private static let worthwhile = sampleLength - sampleLength / 32

    private let compressor = ZstdCompressor(level: 1)
    private var output: [UInt8] = []

    /// Makes a probe with a zstd context of its own.
    package init() {
        output.reserveCapacity(2 * CompressibilityProbe.sampleLength)
    }

    /// Whether no sample of `bytes` shrinks; content of which a part is text is not called so.
    ///
    /// What is shorter than 32 KiB is cheaper to compress than to probe: false.
    package func looksIncompressible(_ bytes: Span<UInt8>) -> Bool {
        let length = CompressibilityProbe.sampleLength
        guard bytes.count >= 8 * length else { return false }
        let samples = max(
            CompressibilityProbe.leastSamples, bytes.count / CompressibilityProbe.spacing)
        // Samples in the middle of even parts of the content.
        let part = bytes.count / samples
        for i in 0..<samples {
            let start = i * part + (part - length) / 2
            output.removeAll(keepingCapacity: true)
            compressor.compress(bytes.extracting(start..<(start + length)), into: &output)
            if output.count < CompressibilityProbe.worthwhile { return false }
        }
        return true
    }
}
