internal import Platform

/// One thread's work on the steps of a walk.
struct Reader {
    let cache: HandleCache
    let options: WalkOptions
    let rootDevice: UInt64
    // Whether this thread has a working directory of its own, for the calls without an `…at` form.
    let hasOwnDirectory: Bool

    /// Takes steps until the agenda is closed.
    static func run(
        _ agenda: Monitor<Agenda>, _ cache: HandleCache, _ options: WalkOptions,
        rootDevice: UInt64
    ) {
        let reader = Reader(
            cache: cache, options: options, rootDevice: rootDevice,
            hasOwnDirectory: PrivateWorkingDirectory.begin())
        var step = agenda.wait { $0.take() }
        while let current = step {
            let output = reader.read(current)
            // Made before the lock is taken: a wide directory has many.
            let (first, last) = following(current, output)
            // Mostly there is a next step at once: one round through the lock is enough then.
            let next = agenda.with { agenda in
                agenda.finish(current, output, first: first, last: last)
                return agenda.take()
            }
            step = next ?? agenda.wait { $0.take() }
        }
    }

    private static func following(_ step: Step, _ output: SliceOutput) -> (Step?, Step?) {
        var first: Step?
        var last: Step?
        func append(_ step: Step) {
            last?.next = step
            last = step
            first = first ?? step
        }
        for directory in output.directories.reversed() { append(Step(directory.node, slice: 0)) }
        if step.slice == 0 {
            for slice in 1..<max(1, step.node.sliceCount) { append(Step(step.node, slice: slice)) }
        }
        return (first, last)
    }

    private func read(_ step: Step) -> SliceOutput {
        let node = step.node
        var slice = Slice(node)
        let handle: OpenDirectory
        do throws(SystemError) {
            handle = try cache.open(node)
        } catch {
            return failed(step, error)
        }
        if step.slice == 0 {
            list(node, handle)
            if !node.isWhollyNew { resume(node, handle, &slice) }
        }
        let place = place(handle)
        for i in node.slice(step.slice) { entry(i, node, handle, place, &slice) }
        // Only what is opened again from here is worth a descriptor.
        if !slice.directories.isEmpty || node.sliceCount > 1 { cache.keep(node, handle) }
        return slice.output()
    }

    /// The output where a directory cannot be opened or listed.
    private func failed(_ step: Step, _ error: SystemError) -> SliceOutput {
        let node = step.node
        var slice = Slice(node)
        let isGone = [Errno.noEntry, Errno.notDirectory, Errno.loop].contains(error.code)
        if step.slice > 0 {
            // The names are known, so each says that it could not be looked at.
            if isGone { return slice.output() }
            for i in node.slice(step.slice) {
                slice.append(
                    Unit(
                        path: slice.path(node.entries.name(i)),
                        metadata: FileMetadata(kind: node.entries.kind(i) ?? .file),
                        error: UnitError(error)))
            }
            return slice.output()
        }
        node.error = UnitError(error)
        // What could be listed before the error is still handed out.
        node.entries.sort()
        let isTold: Bool
        switch node.resumption {
        case .none: isTold = true
        case .last: isTold = isGone || options.resumedUnitHasError
        case .after: isTold = isGone
        }
        if !isTold {
            slice.failure = Failure(
                .module,
                "the directory \(printable(node.fullPrefix())), listed before, cannot be read now",
                cause: error.description, hint: "Make it readable, or start with a new run")
        }
        return slice.output()
    }

    private func list(_ node: DirectoryNode, _ handle: OpenDirectory) {
        var table = EntryTable()
        do throws(SystemError) {
            try handle.descriptor.readDirectory { name, kind in table.append(name, kind) }
        } catch {
            node.error = UnitError(error)
        }
        if table.isFull { node.error = UnitError(call: "getdents64", code: Errno.fileTooBig) }
        table.sort()
        node.entries = table
    }

    /// Steps over what a resumed walk has handed out before.
    private func resume(_ node: DirectoryNode, _ handle: OpenDirectory, _ slice: inout Slice) {
        if let error = node.error, !(node.isLastResumed && options.resumedUnitHasError) {
            slice.failure = Failure(
                .module,
                "the directory \(printable(node.fullPrefix())), listed before, cannot be read now",
                cause: SystemError(error.code, error.call).description,
                hint: "Make it readable, or start with a new run")
        }
        guard case .after(let components, let from) = node.resumption else { return }
        let name = components[from]
        node.first = node.entries.lowerBound(name)
        guard node.first < node.entries.count, node.entries.name(node.first) == name else { return }
        node.first += 1
        do throws(SystemError) {
            let metadata = try handle.descriptor.metadata(of: name)
            guard metadata.kind == .directory, isDescended(metadata) else { return }
            let isLast = from + 1 == components.count
            slice.append(
                DirectoryNode(
                    parent: node, name: name, unit: nil,
                    resumption: isLast ? .last : .after(components, from: from + 1)))
        } catch {
            guard error.code != Errno.noEntry else { return }
            slice.failure = Failure(
                .module,
                "\(printable(node.fullPrefix() + name)), listed before, cannot be read now",
                cause: error.description, hint: "Make it readable, or start with a new run")
        }
    }

    private func isDescended(_ metadata: FileMetadata) -> Bool {
        !options.oneFileSystem || metadata.device == rootDevice
    }

    /// What stands before a name where a call has no form relative to a descriptor: nothing once
    /// the directory is this thread's own working directory.
    private func place(_ handle: OpenDirectory) -> [UInt8] {
        let entered =
            hasOwnDirectory && (try? PrivateWorkingDirectory.enter(handle.descriptor)) != nil
        return entered ? [] : Array("/proc/self/fd/\(handle.descriptor.raw)/".utf8)
    }

    private func entry(
        _ i: Int, _ node: DirectoryNode, _ handle: OpenDirectory, _ place: [UInt8],
        _ slice: inout Slice
    ) {
        let name = node.entries.name(i)
        let kind = node.entries.kind(i)
        if let kind, slice.excludes(name, options.excludes, kind) { return }
        var unit: Unit
        do throws(SystemError) {
            unit = Unit(
                path: slice.path(name), metadata: try handle.descriptor.metadata(of: name))
        } catch {
            if error.code == Errno.noEntry { return }
            slice.append(
                Unit(
                    path: slice.path(name), metadata: FileMetadata(kind: kind ?? .file),
                    error: UnitError(error)))
            return
        }
        if kind == nil, slice.excludes(name, options.excludes, unit.metadata.kind) { return }
        do throws(SystemError) {
            if unit.metadata.kind == .symlink { unit.target = try handle.descriptor.readLink(name) }
            unit.xattrs = try ExtendedAttributes.read(path: place.isEmpty ? name : place + name)
        } catch {
            if error.code == Errno.noEntry { return }
            unit.error = UnitError(error)
        }
        if unit.metadata.kind == .directory, isDescended(unit.metadata) {
            slice.append(DirectoryNode(parent: node, name: name, unit: unit))
        } else {
            slice.append(unit)
        }
    }
}

extension DirectoryNode {
    fileprivate var isWhollyNew: Bool {
        if case .none = resumption { true } else { false }
    }

    fileprivate var isLastResumed: Bool {
        if case .last = resumption { true } else { false }
    }
}
