import Foundation
import TestSupport
import Testing

/// The order of what reaches the disk, as the kernel sees it.
@Suite(
    .temporaryFolder,
    .enabled(if: available("the order of syncs (strace)", canTrace)))
struct SyncOrderTests {
    /// The journal in the local index has to survive a power cut that the pack survives: it is
    /// written and synced before the pack's file is made.
    @Test func theJournalIsSyncedBeforeAPackIsUploaded() throws {
        let scene = try Scene { corpus, path in
            try corpus.small("\(path)/small", count: 300)
            try corpus.large("\(path)/large", count: 2, size: 17 << 20)
        }
        try scene.fleet.cistern("store", "init")
        let trace = try folder()("trace")
        var command = scene.fleet.command(["dehydrate", "data"])
        command.arguments =
            [
                "-f", "-y", "-s", "0", "-o", trace,
                "-e", "trace=openat,pwrite64,write,fsync,fdatasync", command.program,
            ] + command.arguments
        command.program = "strace"
        try command.run().expect()

        // Each thread's journal since its last pack: whether it was written, and is synced.
        var written: [Substring: Bool] = [:]
        var synced: [Substring: Bool] = [:]
        var packs = 0
        let lines = try String(contentsOfFile: trace, encoding: .utf8).split(separator: "\n")
        for line in lines {
            let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
            guard parts.count == 2 else { continue }
            let (thread, call) = (parts[0], parts[1].drop { $0 == " " })
            let isJournal = call.contains("/stores/") && call.contains(".sqlite-wal>")
            if call.hasPrefix("pwrite64("), isJournal {
                written[thread] = true
                synced[thread] = false
            } else if call.hasPrefix("fdatasync(") || call.hasPrefix("fsync("), isJournal {
                // An interrupted line says where it began; it ends before the thread's next call.
                synced[thread] = true
            } else if call.hasPrefix("openat("), call.contains("/store/data/"),
                call.contains("O_CREAT") || call.contains("O_TMPFILE")
            {
                packs += 1
                #expect(written[thread] == true, "no journal entry before \(line)")
                #expect(synced[thread] == true, "the journal is not synced before \(line)")
                written[thread] = false
            }
        }
        #expect(packs >= scene.fleet.objects("data").count, "the packs were not seen")
        #expect(packs > 1)
    }
}

/// Whether system calls can be traced here.
private let canTrace: Bool = {
    let result = try? Command("strace", ["-f", "-o", "/dev/null", "true"]).run()
    return result?.status == .exited(0)
}()
