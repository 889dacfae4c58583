import Foundation
import TestSupport

/// A disk that cannot read one file: a library loaded before the C library's fails its reads.
///
/// The file is told by its inode, so that a restored one in its place reads well.
struct Unreadable {
    private let library: String

    /// Compiles the library into `folder`; nil where there is no C compiler.
    init?(in folder: TemporaryFolder) throws {
        let source = folder("unreadable.c")
        library = folder("unreadable.so")
        try Unreadable.source.write(toFile: source, atomically: true, encoding: .utf8)
        for compiler in ["cc", "clang", "gcc"] {
            let arguments = ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]
            let result = try? Command(compiler, arguments).run()
            if result?.status == .exited(0) { return }
        }
        notice("no C compiler: files that cannot be read are not checked")
        return nil
    }

    /// The same command on a disk that cannot read the file that is at `path` now.
    func applied(to command: Command, failing path: String) throws -> Command {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        var command = command
        command.environment["LD_PRELOAD"] = library
        command.environment["UNREADABLE_INODE"] = "\(attributes[.systemFileNumber] ?? 0)"
        return command
    }

    private static let source = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <stdlib.h>
        #include <sys/stat.h>
        #include <sys/uio.h>
        #include <unistd.h>
        static int bad(int fd) {
            const char *inode = getenv("UNREADABLE_INODE");
            struct stat s;
            return inode && fstat(fd, &s) == 0 && S_ISREG(s.st_mode)
                && s.st_ino == strtoull(inode, 0, 10);
        }
        #define FAIL_IF_BAD(fd) if (bad(fd)) { errno = EIO; return -1; }
        ssize_t read(int fd, void *to, size_t n) {
            static ssize_t (*next)(int, void *, size_t);
            if (!next) next = dlsym(RTLD_NEXT, "read");
            FAIL_IF_BAD(fd)
            return next(fd, to, n);
        }
        ssize_t pread(int fd, void *to, size_t n, off_t at) {
            static ssize_t (*next)(int, void *, size_t, off_t);
            if (!next) next = dlsym(RTLD_NEXT, "pread");
            FAIL_IF_BAD(fd)
            return next(fd, to, n, at);
        }
        ssize_t pread64(int fd, void *to, size_t n, off64_t at) {
            static ssize_t (*next)(int, void *, size_t, off64_t);
            if (!next) next = dlsym(RTLD_NEXT, "pread64");
            FAIL_IF_BAD(fd)
            return next(fd, to, n, at);
        }

        """
}
