internal import CLinux
internal import Glibc

/// A process told apart from a later one with the same number: host, pid and start time.
package struct ProcessIdentity: Sendable, Hashable, CustomStringConvertible {
    /// The host's name.
    package var host: String
    package var pid: Int32
    /// Field 22 of /proc/PID/stat: clock ticks after boot, plus the boot's id so that a reboot
    /// cannot give the same value again.
    package var start: String

    package init(host: String, pid: Int32, start: String) {
        self.host = host
        self.pid = pid
        self.start = start
    }

    /// The process of this host that has `pid` now; without a start time if there is none.
    package init(pid: Int32) {
        let start = ProcessIdentity.startTime(of: pid) ?? "?"
        self.init(host: ProcessIdentity.hostName, pid: pid, start: start)
    }

    /// This process.
    package static let current: ProcessIdentity = {
        let pid = getpid()
        return ProcessIdentity(host: hostName, pid: pid, start: startTime(of: pid) ?? "?")
    }()

    /// This host's name.
    package static let hostName: String = {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 257) { buffer in
            guard let base = buffer.baseAddress else { return "localhost" }
            unsafe buffer.initialize(repeating: 0)
            guard unsafe gethostname(base, 256) == 0 else { return "localhost" }
            return unsafe String(cString: base)
        }
    }()

    /// Whether the process lives.
    ///
    /// Only known for processes of this host: others give nil, and so does one that cannot be
    /// asked about, which must not be taken for dead.
    package var isAlive: Bool? {
        guard host == ProcessIdentity.hostName else { return nil }
        do throws(SystemError) {
            let stat = try AtomicFile.read("/proc/\(pid)/stat", limit: 4096)
            return ProcessIdentity.startTime(in: stat) == start
        } catch {
            return error.code == ENOENT || error.code == ESRCH ? false : nil
        }
    }

    /// `host/pid/start`, which `init(_:)` reads back.
    package var description: String { "\(host)/\(pid)/\(start)" }

    /// Reads `description` back; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: "/")
        guard parts.count == 3, let pid = Int32(parts[1]) else { return nil }
        self.init(host: String(parts[0]), pid: pid, start: String(parts[2]))
    }

    /// Whether no process of this machine with the number `pid` runs: only then, so false when
    /// that cannot be found out.
    package static func isGone(_ pid: Int32) -> Bool {
        do throws(SystemError) {
            return startTime(in: try AtomicFile.read("/proc/\(pid)/stat", limit: 4096)) == nil
        } catch {
            return error.code == ENOENT || error.code == ESRCH
        }
    }

    private static func startTime(of pid: Int32) -> String? {
        (try? AtomicFile.read("/proc/\(pid)/stat", limit: 4096)).flatMap(startTime(in:))
    }

    private static func startTime(in stat: [UInt8]) -> String? {
        // The second field, the command in brackets, may contain spaces and brackets itself.
        guard let end = stat.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = stat[(end + 1)...].split(separator: UInt8(ascii: " "))
        // A zombie is dead already: it only waits for its parent.
        guard fields.count > 19, fields[0].first != UInt8(ascii: "Z") else { return nil }
        return String(decoding: fields[19], as: UTF8.self) + "-" + bootID
    }

    private static let bootID: String = {
        let bytes = (try? AtomicFile.read("/proc/sys/kernel/random/boot_id", limit: 64)) ?? []
        return String(decoding: bytes.prefix(8), as: UTF8.self)
    }()
}

/// Whether this process may set owners and open everything.
package let effectiveUserIsRoot = effectiveUserID == 0

/// The user and the group that this process acts as.
package let effectiveUserID: UInt32 = geteuid()
package let effectiveGroupID: UInt32 = getegid()
