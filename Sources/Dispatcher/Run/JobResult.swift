internal import FoundationEssentials
package import Platform

/// What a finished job reports: the numbers of a run's summary, kept as the job's `result`.
package struct JobResult: Sendable, Equatable, Codable {
    /// Files, directories and other units in the module.
    package var units: Int64
    /// Bytes of its files.
    package var bytes: Int64
    /// Bytes that were added to the store, as stored.
    package var newBytes: Int64
    /// Units that were repaired.
    package var repaired: Int64
    /// Units that are not healthy at the end.
    package var unhealthy: Int64
    /// The snapshot's id, if one was made.
    package var snapshot: String?
    /// How many snapshots were removed, if that was to be done.
    package var pruned: Int64?
    /// Requests over the network by method (`get`), when there were any; the worker's first job has
    /// those that opened the store, the last one not those that closed it.
    package var requests: [String: Int]?
    /// Bytes of the bodies of these requests.
    package var bytesSent: Int64?
    /// Bytes of the bodies of their answers.
    package var bytesReceived: Int64?
    /// What the reader should know: why the job is only partly done, for instance.
    package var note: String?

    package init(
        units: Int64 = 0, bytes: Int64 = 0, newBytes: Int64 = 0, repaired: Int64 = 0,
        unhealthy: Int64 = 0, snapshot: String? = nil, pruned: Int64? = nil,
        note: String? = nil
    ) {
        self.units = units
        self.bytes = bytes
        self.newBytes = newBytes
        self.repaired = repaired
        self.unhealthy = unhealthy
        self.snapshot = snapshot
        self.pruned = pruned
        self.note = note
    }

    /// The result as JSON text, for `JobOutcome`.
    package func encoded() throws(Failure) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        do {
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        } catch {
            throw Failure(.bug, "cannot encode a job's result", cause: "\(error)")
        }
    }

    /// Reads `encoded` back; nil when it is another version's.
    package init?(encoded text: String) {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        guard let result = try? decoder.decode(JobResult.self, from: Data(text.utf8)) else {
            return nil
        }
        self = result
    }
}

extension ModuleDefinition {
    /// The definition as a job's payload: a run works on its modules as they were at its start.
    func payload() throws(Failure) -> [UInt8] {
        do {
            return Array(try JSONEncoder().encode(self))
        } catch {
            throw Failure(.bug, "cannot encode module \(name)", cause: "\(error)")
        }
    }

    /// Reads `payload` back.
    init(payload: [UInt8]) throws(Failure) {
        do {
            self = try JSONDecoder().decode(ModuleDefinition.self, from: Data(payload))
        } catch {
            throw Failure(
                .module, "the job's module definition cannot be read", cause: "\(error)",
                hint: "It was made by another version: start anew with --fresh")
        }
    }
}
