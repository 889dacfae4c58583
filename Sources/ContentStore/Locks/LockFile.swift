package import Platform

/// The content of a lock file: who holds the repository since when.
package struct LockFile: Sendable, Equatable {
    package var time: Timestamp
    /// An exclusive lock admits no other one; restic's prune, forget and check take it.
    package var exclusive: Bool
    package var hostname: String
    package var username: String
    package var pid: Int32
    package var uid: UInt32
    package var gid: UInt32
    /// The program, where it tells: restic does not.
    package var program: String?

    /// What locks of ours have as their program.
    package static let cistern = "cistern"
    /// The same of whoever rewrites index files, to collect garbage or to repair: there is one at
    /// a time.
    package static let collector = "cistern gc"

    /// How old a lock has to be for its owner to be taken as gone, in seconds.
    package static let staleAfter: Int64 = 30 * 60

    package init(
        time: Timestamp, exclusive: Bool, hostname: String, username: String, pid: Int32,
        uid: UInt32 = 0, gid: UInt32 = 0, program: String? = nil
    ) {
        self.time = time
        self.exclusive = exclusive
        self.hostname = hostname
        self.username = username
        self.pid = pid
        self.uid = uid
        self.gid = gid
        self.program = program
    }

    /// Whether the owner is gone: the lock is older than 30 minutes, or the owner was a process of
    /// `host` and lives no more.
    package func isStale(now: Timestamp, host: String = ProcessIdentity.hostName) -> Bool {
        if now.seconds - time.seconds > LockFile.staleAfter { return true }
        return hostname == host && isOwnerDead
    }

    /// Whether no process of this machine has the lock's number; a zombie holds nothing any more.
    package var isOwnerDead: Bool { ProcessIdentity.isGone(pid) }

    /// Who holds the lock, for people: `restic or cistern on host pid 12, user ann, since …`.
    package var holder: String {
        var since: [UInt8] = []
        appendRFC3339Nano(time, to: &since)
        return "\(exclusive ? "exclusively" : "shared") by process \(pid) of user "
            + "\(username.isEmpty ? "?" : username) on host \(hostname) since "
            + String(decoding: since, as: UTF8.self)
    }

    /// The JSON, with fields in restic's order.
    package func encode() -> [UInt8] {
        var json = JSONObject()
        json.add("time", time)
        json.add("exclusive", exclusive)
        json.add("hostname", hostname)
        json.add("username", username)
        json.add("pid", pid)
        if uid != 0 { json.add("uid", uid) }
        if gid != 0 { json.add("gid", gid) }
        if let program { json.add("program", program) }
        return json.finished
    }

    /// Reads the JSON.
    ///
    /// Unknown fields are passed over. Throws a `store` failure when it is damaged.
    package static func decode(_ json: [UInt8]) throws(Failure) -> LockFile {
        let what = "a lock"
        let fields = try SmallJSON.decode(Fields.self, json, what)
        return LockFile(
            time: try SmallJSON.time(fields.time, what), exclusive: fields.exclusive,
            hostname: fields.hostname ?? "", username: fields.username ?? "",
            pid: fields.pid ?? 0, uid: fields.uid ?? 0, gid: fields.gid ?? 0,
            program: fields.program)
    }

    private struct Fields: Decodable {
        var time: String
        var exclusive: Bool
        var hostname: String?
        var username: String?
        var pid: Int32?
        var uid: UInt32?
        var gid: UInt32?
        var program: String?
    }
}
