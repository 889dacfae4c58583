package import Platform

/// The config of a repository: what says that there is one.
package struct RepositoryConfig: Sendable, Equatable {
    /// 2, or 1 for repositories from before compression, which are read only.
    package var version: Int
    /// A random number that tells repositories apart.
    package var id: Digest
    /// The polynomial of restic's own chunker, which stays the same for deduplication.
    package var chunkerPolynomial: UInt64

    /// An irreducible polynomial of degree 53 over GF(2), as restic wants one.
    package static let polynomial: UInt64 = 0x25_b468_838d_cb75

    package init(version: Int, id: Digest, chunkerPolynomial: UInt64) {
        self.version = version
        self.id = id
        self.chunkerPolynomial = chunkerPolynomial
    }

    /// The config of a new repository of version 2.
    package static func random() -> RepositoryConfig {
        let id = randomBytes(32)
        guard let id = Digest(id.span) else { preconditionFailure("32 bytes are a digest") }
        return RepositoryConfig(version: 2, id: id, chunkerPolynomial: polynomial)
    }

    /// The JSON, which is sealed as it is: configs are never compressed.
    package func encode() -> [UInt8] {
        var json = JSONObject()
        json.add("version", version)
        json.add("id", id.description)
        json.add("chunker_polynomial", String(chunkerPolynomial, radix: 16))
        return json.finished
    }

    /// Reads the JSON.
    ///
    /// Unknown fields are passed over.
    ///
    /// Throws a `store` failure when it is damaged or of a version other than 1 and 2.
    package static func decode(_ json: [UInt8]) throws(Failure) -> RepositoryConfig {
        let what = "the repository's config"
        let fields = try SmallJSON.decode(Fields.self, json, what)
        guard fields.version == 1 || fields.version == 2 else {
            throw Failure(
                .store, "the repository has format version \(fields.version)",
                cause: "versions 1 and 2 are known",
                hint: "Open it with the restic that made it, or with a newer Cistern.")
        }
        guard let id = Digest(hex: fields.id) else {
            throw Failure(.store, "\(what) is damaged", cause: "its id is no 64 hex digits")
        }
        guard let polynomial = UInt64(fields.polynomial, radix: 16) else {
            throw Failure(.store, "\(what) is damaged", cause: "its polynomial is no hex number")
        }
        return RepositoryConfig(
            version: fields.version, id: id, chunkerPolynomial: polynomial)
    }

    private struct Fields: Decodable {
        var version: Int
        var id: String
        var polynomial: String

        enum CodingKeys: String, CodingKey {
            case version, id
            case polynomial = "chunker_polynomial"
        }
    }
}
