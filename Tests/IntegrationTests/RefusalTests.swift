import Foundation
import TestSupport
import Testing

/// File systems that cannot do all that Linux offers.
///
/// Files without a name, writing past the page cache: each time the plain way has to give the same
/// result.
///
/// A library put before the system's refuses what such file systems refuse.
@Suite(
    .temporaryFolder,
    .enabled(if: available("file systems with fewer abilities (clang)", canCompile)))
struct RefusalTests {
    /// What the file system refuses, and the error it gives.
    enum Refusal: String, CaseIterable, Sendable {
        case unnamedFiles, naming, exclusiveNames, directWrites

        var macro: String {
            switch self {
            case .unnamedFiles: "REFUSE_UNNAMED"
            case .naming: "REFUSE_NAMING"
            case .exclusiveNames: "REFUSE_EXCLUSIVE"
            case .directWrites: "REFUSE_DIRECT"
            }
        }
    }

    @Test(arguments: Refusal.allCases)
    func thePlainWayDoesTheSame(_ refusal: Refusal) throws {
        let scene = try Scene { corpus, path in
            try corpus.small("\(path)/small", count: 300)
            try corpus.large("\(path)/large", count: 2, size: 17 << 20)
            try corpus.nasty("\(path)/nasty")
            // A directory whose tree does not fit in memory's share goes through a spool file.
            if refusal == .unnamedFiles { try corpus.wide("\(path)/wide", count: 30_000) }
        }
        let library = try preload(refusal)
        let count = try folder()("refused")
        func refused(_ arguments: String...) throws {
            var command = scene.fleet.command(arguments)
            command.environment["LD_PRELOAD"] = library
            command.environment["REFUSED"] = count
            try command.run().expect()
        }
        let target = try folder()("copy")
        try refused("dehydrate", "data")
        try refused("hydrate", "data", "--to", target)
        #expect(try TreeComparison.differences(scene.module, target) == [])
        // A second time over what is there: replacing is another way than making.
        try refused("hydrate", "data", "--to", target, "--verify")
        #expect(try TreeComparison.differences(scene.module, target) == [])
        #expect(FileManager.default.fileExists(atPath: count), "nothing was refused")
        let spool = scene.fleet.state + "/spool"
        #expect(try FileManager.default.contentsOfDirectory(atPath: spool) == [])
        try scene.fleet.judge()
    }

    private func preload(_ refusal: Refusal) throws -> String {
        let source = try folder()("refuse.c")
        let library = try folder()("refuse.so")
        try Self.shim.write(toFile: source, atomically: true, encoding: .utf8)
        try Command(
            "clang", ["-shared", "-fPIC", "-D\(refusal.macro)", "-o", library, source, "-ldl"]
        ).run().expect()
        return library
    }

    private static let shim = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <fcntl.h>
        #include <stdarg.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>

        static int refuse(int error) {
            const char *path = getenv("REFUSED");
            if (path) close(open(path, O_WRONLY | O_CREAT, 0600));
            errno = error;
            return -1;
        }

        #ifdef REFUSE_UNNAMED
        static int opened(const char *name, int dir, const char *path, int flags, mode_t mode) {
            if ((flags & O_TMPFILE) == O_TMPFILE) return refuse(EOPNOTSUPP);
            int (*real)(int, const char *, int, ...) = dlsym(RTLD_NEXT, name);
            return real(dir, path, flags, mode);
        }
        int openat(int dir, const char *path, int flags, ...) {
            va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list);
            return opened("openat", dir, path, flags, mode);
        }
        int openat64(int dir, const char *path, int flags, ...) {
            va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list);
            return opened("openat64", dir, path, flags, mode);
        }
        #endif

        #ifdef REFUSE_NAMING
        int linkat(int from, const char *path, int dir, const char *name, int flags) {
            if (flags & AT_EMPTY_PATH) return refuse(EPERM);
            if (!strncmp(path, "/proc/self/fd/", 14)) return refuse(ENOENT);
            int (*real)(int, const char *, int, const char *, int) = dlsym(RTLD_NEXT, "linkat");
            return real(from, path, dir, name, flags);
        }
        #endif

        #ifdef REFUSE_EXCLUSIVE
        int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
            if (flags) return refuse(EINVAL);
            return renameat(from, old, to, new);
        }
        #endif

        #ifdef REFUSE_DIRECT
        static int controlled(const char *name, int file, int command, long argument) {
            if (command == F_SETFL && (argument & O_DIRECT)) return refuse(EINVAL);
            int (*real)(int, int, ...) = dlsym(RTLD_NEXT, name);
            return real(file, command, argument);
        }
        int fcntl(int file, int command, ...) {
            va_list list; va_start(list, command); long argument = va_arg(list, long); va_end(list);
            return controlled("fcntl", file, command, argument);
        }
        int fcntl64(int file, int command, ...) {
            va_list list; va_start(list, command); long argument = va_arg(list, long); va_end(list);
            return controlled("fcntl64", file, command, argument);
        }
        #endif
        """
}

/// Whether a shared library can be made here; Swift brings the compiler.
private let canCompile: Bool = {
    let result = try? Command("clang", ["--version"]).run()
    return result?.status == .exited(0)
}()
