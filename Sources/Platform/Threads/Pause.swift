/// Lets the calling thread sleep, for work on threads of its own.
///
/// Signals wake nobody here: who has to stop soon sleeps for a little at a time.
package func pause(seconds: Double) {
    // Nobody changes this: the wait only ends with its time.
    let nothing = Monitor(())
    _ = nothing.wait(seconds: seconds) { _ in nil as Bool? }
}
