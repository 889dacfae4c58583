internal import CLinux
internal import Glibc

/// A thread of its own for work that blocks.
///
/// `join` waits for its end.
///
/// The cooperative pool has one thread per core and is never blocked: everything that reads disks,
/// hashes or waits on a database runs on one of these.
@safe package struct DedicatedThread: Sendable {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private let handle: pthread_t

    /// Starts a thread named `name` (at most 15 bytes are kept) that runs `body`.
    package init(name: String, _ body: @escaping @Sendable () -> Void) {
        var handle = pthread_t()
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        // Signals are for the main thread; 1 MiB is ample: nothing here recurses by input.
        unsafe pthread_attr_setstacksize(&attributes, 1 << 20)
        let argument = unsafe Unmanaged.passRetained(Body(body)).toOpaque()
        let code = unsafe pthread_create(
            &handle, &attributes,
            { raw in
                guard let raw = unsafe raw else { return nil }
                unsafe Unmanaged<Body>.fromOpaque(raw).takeRetainedValue().run()
                return nil
            }, argument)
        unsafe pthread_attr_destroy(&attributes)
        precondition(code == 0, "pthread_create: \(Errno.name(code))")
        self.handle = handle
        unsafe cl_name_thread(handle, String(name.prefix(15)))
    }

    /// Waits until the thread has ended.
    ///
    /// Call once.
    package func join() {
        pthread_join(handle, nil)
    }
}

/// How many threads this machine runs at once.
package var processorCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
