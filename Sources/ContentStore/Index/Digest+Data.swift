internal import FoundationEssentials
internal import Platform

// SQLite values cross GRDB as Data.
extension Digest {
    var data: Data { Data(bytes) }

    init?(data: Data) {
        let bytes = [UInt8](data)
        self.init(bytes.span)
    }
}
