internal import CLinux

/// The process's heap.
package enum Heap {
    /// Keeps the heap close to what is in use: programs of few threads and large buffers otherwise
    /// hold on to several times as much.
    ///
    /// Called once, before threads are started.
    package static func bound() { cl_bound_heap() }
}
