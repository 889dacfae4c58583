internal import CCrypto
internal import FoundationEssentials
package import Platform

/// A file of keys/: the master key sealed with a key that scrypt makes from a password.
package enum KeyFile {
    /// How much work a password costs: memory is `128 · N · r` bytes, time is that times `p`.
    package struct Cost: Sendable, Equatable {
        /// A power of two.
        package var n: UInt64
        package var r: UInt32
        package var p: UInt32

        package init(n: UInt64, r: UInt32, p: UInt32) {
            self.n = n
            self.r = r
            self.p = p
        }

        /// 32 MiB and about half a second, as restic chooses on current machines.
        package static let standard = Cost(n: 32768, r: 8, p: 4)
    }

    /// Why a key file does not give the master key.
    private static let wrongPassword = "the password is wrong"

    /// The longest key file that is read, in bytes.
    package static let limit = 1 << 20

    /// Makes a key file for `master`; `created`, `host` and `user` are for people.
    ///
    /// Throws a `usage` failure for a cost that scrypt refuses.
    package static func create(
        _ master: MasterKey, password: [UInt8], cost: Cost = .standard, created: Timestamp,
        host: String, user: String
    ) throws(Failure) -> (name: Digest, bytes: [UInt8]) {
        let salt = randomBytes(64)
        guard let key = derive(password, salt, cost) else {
            throw Failure(
                .usage, "the cost N=\(cost.n) r=\(cost.r) p=\(cost.p) is not possible for scrypt",
                hint: "N has to be a power of two, and 128·N·r at most 1 GiB.")
        }
        var mac = JSONObject()
        mac.add("k", base64(master.macK))
        mac.add("r", base64(master.macR))
        var plain = JSONObject()
        plain.add("mac", mac)
        plain.add("encrypt", base64(master.encryption))
        var data: [UInt8] = []
        Sealer(key: key).seal(plain.finished.span, into: &data)

        var json = JSONObject()
        json.add("created", created)
        json.add("username", user)
        json.add("hostname", host)
        json.add("kdf", "scrypt")
        json.add("N", cost.n)
        json.add("r", cost.r)
        json.add("p", cost.p)
        json.add("salt", base64(salt[...]))
        json.add("data", base64(data[...]))
        let bytes = json.finished
        return (SHA256Hasher.hash(bytes.span), bytes)
    }

    /// What opening a key file with a password gave.
    package enum Opened: Sendable, Equatable {
        case master(MasterKey)
        /// The file is whole, as far as can be seen, and made for another password.
        case wrongPassword
    }

    /// Opens a key file; a wrong password is a result, since another key file may fit it.
    ///
    /// Throws a `store` failure when the file is damaged.
    package static func tryOpen(_ bytes: [UInt8], password: [UInt8]) throws(Failure) -> Opened {
        let what = "a key file"
        let fields = try SmallJSON.decode(Fields.self, bytes, what)
        guard fields.kdf == "scrypt" else {
            throw Failure(
                .store, "\(what) cannot be opened",
                cause: "its key derivation is not known, only scrypt is")
        }
        guard let salt = Data(base64Encoded: fields.salt), salt.count == 64,
            let data = Data(base64Encoded: fields.data), data.count > Sealer.overhead
        else { throw Failure(.store, "\(what) is damaged", cause: "its salt or data is cut off") }
        let cost = Cost(n: fields.N, r: fields.r, p: fields.p)
        guard let key = derive(password, Array(salt), cost) else {
            throw Failure(
                .store, "\(what) is damaged",
                cause: "scrypt refuses N=\(cost.n) r=\(cost.r) p=\(cost.p)")
        }
        let sealed = Array(data)
        let sealer = Sealer(key: key)
        // With a flipped bit in salt or data every password looks wrong. The file's name, the
        // SHA-256 of its bytes, is what tells the two apart: see `open`.
        guard sealer.isAuthentic(sealed.span) else { return .wrongPassword }
        var plain: [UInt8] = []
        try sealer.open(sealed.span, into: &plain)
        let master = try SmallJSON.decode(MasterFields.self, plain, "the key in \(what)")
        let parts = [master.encrypt, master.mac.k, master.mac.r].map { Data(base64Encoded: $0) }
        guard parts.map({ $0?.count }) == [32, 16, 16],
            let key = MasterKey(parts.flatMap { Array($0 ?? Data()) })
        else { throw Failure(.store, "the key in \(what) is damaged") }
        return .master(key)
    }

    /// What a key file says of itself, for people; nothing of it is authentic.
    package struct Label: Sendable, Equatable {
        package var created: Timestamp?
        package var host: String
        package var user: String
        package var cost: Cost
    }

    /// Reads what the key file `bytes` says of itself.
    ///
    /// Throws a `store` failure when it is damaged.
    package static func label(_ bytes: [UInt8]) throws(Failure) -> Label {
        let fields = try SmallJSON.decode(Fields.self, bytes, "a key file")
        let created = Array((fields.created ?? "").utf8)
        return Label(
            created: parseRFC3339Nano(created.span), host: fields.hostname ?? "",
            user: fields.username ?? "", cost: Cost(n: fields.N, r: fields.r, p: fields.p))
    }

    /// Opens the key file `bytes`, named `name`, with a password.
    ///
    /// Throws a `store` failure when the file is damaged, a `usage` failure for a wrong password.
    package static func open(
        _ bytes: [UInt8], name: Digest? = nil, password: [UInt8]
    ) throws(Failure) -> MasterKey {
        if let name {
            guard SHA256Hasher.hash(bytes.span) == name else {
                throw Failure(
                    .store, "key file \(name.short) is damaged",
                    cause: "its SHA-256 is not its name",
                    hint: "Use another key file, or a copy from a mirror.")
            }
        }
        switch try tryOpen(bytes, password: password) {
        case .master(let key): return key
        case .wrongPassword:
            throw Failure(
                .usage, "the store cannot be opened", cause: wrongPassword,
                hint: "Check the password file.")
        }
    }

    private static func derive(_ password: [UInt8], _ salt: [UInt8], _ cost: Cost) -> MasterKey? {
        let memory: UInt64 = 1 << 30
        guard cost.n >= 2, cost.n.nonzeroBitCount == 1, cost.r > 0, cost.p > 0,
            cost.n <= memory / 128 / UInt64(cost.r),
            // A damaged or hostile file must not cost minutes.
            cost.n * UInt64(cost.r) <= (64 << 30) / 128 / UInt64(cost.p)
        else { return nil }
        var key = [UInt8](repeating: 0, count: MasterKey.size)
        let result = unsafe password.withUnsafeBytes { bytes in
            // libcrypto takes a null password for a call about sizes alone.
            let empty: StaticString = ""
            let start = unsafe bytes.baseAddress ?? UnsafeRawPointer(empty.utf8Start)
            return unsafe EVP_PBE_scrypt(
                start.assumingMemoryBound(to: CChar.self), bytes.count, salt, salt.count, cost.n,
                UInt64(cost.r), UInt64(cost.p), memory + (64 << 20), &key, key.count)
        }
        guard result == 1 else { return nil }
        return MasterKey(key)
    }

    private static func base64(_ bytes: ArraySlice<UInt8>) -> String {
        Data(bytes).base64EncodedString()
    }

    // The names are those of the format.
    private struct Fields: Decodable {
        var kdf: String
        var N: UInt64
        var r: UInt32
        var p: UInt32
        var salt: String
        var data: String
        var created: String?
        var hostname: String?
        var username: String?
    }

    private struct MasterFields: Decodable {
        struct Mac: Decodable {
            var k: String
            var r: String
        }
        var mac: Mac
        var encrypt: String
    }
}
