package import Platform

/// Walks a module in path order and hands out its units in chunks; goes on after any chunk's last
/// path with the same chunks as an undisturbed walk.
///
/// Threads list and stat ahead within fixed limits. What vanishes while the walk is under way is
/// not there; a directory that cannot be read carries the error on its own unit and its siblings go
/// on. Not for use by two threads at once.
package final class Walk {
    private let options: WalkOptions
    private let cache: HandleCache
    private let agenda: Monitor<Agenda>
    private var threads: [DedicatedThread] = []
    private var frames: [Frame] = []
    // The path of the innermost directory with a slash behind it, while it is a long one.
    private var longPrefix: [UInt8] = []
    // Steps taken from the agenda together, in reverse.
    private var ready: [Step] = []
    private var isStarted = false
    private var failure: Failure?

    /// A directory that the walk is in, and what is left of its present slice.
    private struct Frame {
        var node: DirectoryNode
        var slice: Int
        var output: SliceOutput
        var longPrefixBefore: Int
    }

    /// Opens `root`, a directory or a symlink to one, and starts to read.
    ///
    /// With `resumeAfter`, the last path of a chunk, the walk goes on behind it. Throws a `module`
    /// failure that names the root and the error when it cannot be opened.
    package init(
        root: String, options: WalkOptions = WalkOptions(), resumeAfter: [UInt8]? = nil
    ) throws(Failure) {
        self.options = options
        let handle: OpenDirectory
        var unit: Unit
        do throws(SystemError) {
            handle = OpenDirectory(try Descriptor.open(root, [.readOnly, .directory]))
            unit = Unit(path: [], metadata: try handle.descriptor.metadata())
        } catch {
            throw Failure(
                .module, "the module directory \(root) cannot be walked",
                cause: "\(error.call): \(error.reason)",
                hint: error.code == Errno.noEntry ? "Check the path in the configuration" : nil)
        }
        do throws(SystemError) {
            unit.xattrs = try ExtendedAttributes.read(
                path: Array("/proc/self/fd/\(handle.descriptor.raw)/.".utf8))
        } catch {
            unit.error = UnitError(error)
        }
        let device = unit.metadata.device
        let cache = HandleCache(root: handle)
        let components = resumeAfter.map { path in
            path.isEmpty ? [] : path.split(separator: UInt8(ascii: "/")).map { Array($0) }
        }
        let node =
            switch components {
            case nil: DirectoryNode(parent: nil, name: [], unit: unit)
            case []?: DirectoryNode(parent: nil, name: [], unit: nil, resumption: .last)
            case let components?:
                DirectoryNode(
                    parent: nil, name: [], unit: nil, resumption: .after(components, from: 0))
            }
        let agenda = Monitor(Agenda(Step(node, slice: 0)))
        self.cache = cache
        self.agenda = agenda
        threads = (0..<max(1, options.threads)).map { index in
            DedicatedThread(name: "walk-\(index)") {
                Reader.run(agenda, cache, options, rootDevice: device)
            }
        }
    }

    deinit { close() }

    /// The next chunk, never empty; nil after the last one.
    ///
    /// Throws a `module` failure when a directory that a resumed walk must pass through again
    /// cannot be read any more.
    package func next() throws(Failure) -> [Unit]? {
        if let failure { throw failure }
        var chunk: [Unit] = []
        chunk.reserveCapacity(min(options.chunkUnits, 1024))
        var bytes: UInt64 = 0
        var pathBytes = 0
        while chunk.count < options.chunkUnits, bytes <= options.chunkBytes,
            pathBytes <= options.chunkPathBytes
        {
            guard let unit = try advance() else { break }
            if unit.metadata.kind == .file {
                bytes =
                    bytes.addingReportingOverflow(unit.metadata.size).overflow
                    ? .max : bytes + unit.metadata.size
            }
            pathBytes += unit.path.count
            chunk.append(unit)
        }
        return chunk.isEmpty ? nil : chunk
    }

    /// Ends the threads and closes what is open; nothing more is handed out.
    package func close() {
        if failure == nil { failure = Failure(.cancelled, "the walk was closed") }
        agenda.with { $0.close() }
        for thread in threads { thread.join() }
        threads.removeAll()
        cache.forgetAll()
        ready.removeAll()
        // From the innermost outwards: releasing the outermost first would recurse along the depth.
        while frames.popLast() != nil {}
    }

    /// The next unit in path order; nil at the end.
    private func advance() throws(Failure) -> Unit? {
        if !isStarted {
            isStarted = true
            if let unit = try descend() { return unit }
        }
        while let last = frames.indices.last {
            if let directory = frames[last].output.directories.last,
                directory.remaining == frames[last].output.units.count
            {
                frames[last].output.directories.removeLast()
                if let unit = try descend() { return unit }
            } else if let unit = frames[last].output.units.popLast() {
                return placed(unit, in: frames[last].node)
            } else if frames[last].slice + 1 < frames[last].node.sliceCount {
                frames[last].slice += 1
                frames[last].output = try take().output
            } else {
                leave()
            }
        }
        return nil
    }

    /// Goes into the directory whose step is the next one; its unit, unless a walk before gave it.
    private func descend() throws(Failure) -> Unit? {
        let step = try take()
        let node = step.node
        var unit = node.unit
        node.unit = nil
        if let error = node.error { unit?.error = error }
        if let parent = node.parent, let found = unit { unit = placed(found, in: parent) }
        let before = longPrefix.count
        if node.prefix == nil, let parent = node.parent {
            if let prefix = parent.prefix { longPrefix += prefix }
            longPrefix += node.name
            longPrefix.append(UInt8(ascii: "/"))
        }
        frames.append(
            Frame(node: node, slice: 0, output: step.output, longPrefixBefore: before))
        return unit
    }

    private func leave() {
        guard let frame = frames.popLast() else { return }
        longPrefix.removeLast(longPrefix.count - frame.longPrefixBefore)
        cache.forget(frame.node)
    }

    /// The unit with its whole path.
    private func placed(_ unit: Unit, in node: DirectoryNode) -> Unit {
        guard node.prefix == nil else { return unit }
        var unit = unit
        unit.path = longPrefix + unit.path
        return unit
    }

    /// The next step in path order, as soon as it is done.
    private func take() throws(Failure) -> Step {
        if ready.isEmpty {
            ready = agenda.wait { $0.popDone() }
            ready.reverse()
        }
        guard let step = ready.popLast() else {
            throw Failure(.bug, "the walk has no step to go on with")
        }
        if let failure = step.output.failure {
            self.failure = failure
            throw failure
        }
        return step
    }
}
