import Foundation
import TestSupport
import Testing

/// Bytes that flip on the device under a file system, which is how disks rot.
@Suite(
    .temporaryFolder, .serialized,
    .enabled(if: available("bit rot on a device (root, ext4 images)", Mount.isImagePossible)))
struct BitRotTests {
    @Test func flippedBytesOfAnImageAreFoundAndMended() throws {
        let image = try folder()("image")
        let at = try folder()("mounted")
        try Mount.makeExt4(image, bytes: 64 << 20)
        var corpus = Corpus()
        let content = corpus.noise(300_000)
        let rots = try folder()("rots")
        try Data(content).write(to: URL(fileURLWithPath: rots))
        try onDisk(image, at) {
            try corpus.small(at + "/module", count: 400)
            // By a process of its own: a descriptor of this one that a child inherited meanwhile
            // would keep the file system busy.
            try Command("cp", [rots, at + "/module/rots"]).run().expect()
        }
        let fleet = try Fleet(in: folder()("fleet"), modules: ["data": at + "/module"])
        try onDisk(image, at) { try fleet.cistern("run", "nightly") }

        // A block of the file, found by its content: 64 bytes of noise are nowhere else.
        let needle = Array(content[200_000..<200_064])
        try Damage.flipByte(image, at: Damage.offset(of: needle, in: image))

        try onDisk(image, at) {
            let damaged = try Data(contentsOf: URL(fileURLWithPath: at + "/module/rots"))
            #expect([UInt8](damaged) != content)
            let byMetadata = try UnitStream(fleet.cistern("check", "data"))
            #expect(try Verdict(byMetadata["rots"]).state == "intact")
            let read = try fleet.command(["check", "data", "--verify"]).run().expect(3)
            let verified = try UnitStream(read)
            #expect(
                try Verdict(verified["rots"])
                    == Verdict("rotted", healthy: false, recoverable: true))
            #expect(verified.stats["count-unhealthy"].integer == 1)

            try fleet.cistern("run", "verify")
            let mended = try Data(contentsOf: URL(fileURLWithPath: at + "/module/rots"))
            #expect([UInt8](mended) == content)
            try fleet.cistern("check", "data", "--verify")
        }
    }

    private func onDisk(_ image: String, _ path: String, _ body: () throws -> Void) throws {
        let mount = try Mount.ext4(image, at: path)
        try body()
        withExtendedLifetime(mount) {}
    }
}
