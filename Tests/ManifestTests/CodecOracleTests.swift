import Foundation
import Platform
import TestSupport
import Testing

import struct Manifest.CheckResult
import enum Manifest.Codec
import struct Manifest.ContentResult
import enum Manifest.ListLine
import struct Manifest.RepairResult
import struct Manifest.Unit

/// The codec against JSONSerialization, in both directions.
@Suite struct CodecOracleTests {
    @Test func aJSONLibraryReadsTheSame() throws {
        var random = RandomUnits(seed: 11)
        for round in 0..<3000 {
            let unit = random.unit()
            let object = try JSONSerialization.jsonObject(with: Data(encoded(.unit(unit))))
            let found = try #require(object as? NSDictionary)
            let expected = dictionary(unit) as NSDictionary
            for key in Set((found.allKeys + expected.allKeys).compactMap { $0 as? String }) {
                let (a, b) = (found[key] as? NSObject, expected[key] as? NSObject)
                // The library may give a number as a decimal, which never equals an integer.
                let same =
                    a == b || (a is NSNumber && b is NSNumber && a?.description == b?.description)
                #expect(same, "\(key): seed 11, round \(round)")
            }
        }
    }

    @Test func aJSONLibrarysLinesAreRead() throws {
        var random = RandomUnits(seed: 12)
        for round in 0..<3000 {
            let unit = random.unit()
            for options: JSONSerialization.WritingOptions in [[], [.sortedKeys, .prettyPrinted]] {
                let data = try JSONSerialization.data(
                    withJSONObject: dictionary(unit), options: options)
                #expect(try decoded(Array(data)) == .unit(unit), "seed 12, round \(round)")
            }
        }
    }

    private func dictionary(_ unit: Manifest.Unit) -> [String: Any] {
        let m = unit.metadata
        var d: [String: Any] = [
            "type": m.kind.rawValue, "mode": m.permissions, "uid": m.uid, "gid": m.gid,
            "size": m.size, "mtime_ns": time(m.mtime), "ctime_ns": time(m.ctime),
            "inode": m.inode, "device": m.device, "links": m.links,
        ]
        put(unit.path, "path", &d)
        if m.kind == .chardev || m.kind == .blockdev { d["rdev"] = m.rdev }
        if let target = unit.target { put(target, "target", &d) }
        if !unit.xattrs.isEmpty {
            d["xattrs"] = unit.xattrs.map { xattr in
                var x: [String: Any] = ["value_b64": Data(xattr.value).base64EncodedString()]
                put(xattr.name, "name", &x)
                return x
            }
        }
        if let error = unit.error {
            d["error"] =
                ["call": error.call, "errno": Errno.name(error.code), "code": error.code]
                as [String: Any]
        }
        if let check = unit.check { d["check"] = dictionary(check) }
        if let repair = unit.repair {
            var r: [String: Any] = [
                "attempted": repair.attempted, "successful": repair.successful,
                "action": repair.action.rawValue, "before": dictionary(repair.before),
                "after": dictionary(repair.after),
            ]
            r["error"] = repair.error
            d["repair"] = r
        }
        if let content = unit.content {
            d["content"] = content.ids.map(\.description)
            d["stored_bytes"] = content.storedBytes
            d["new_bytes"] = content.newBytes
            if !content.problems.isEmpty { d["content_problems"] = content.problems }
        }
        return d
    }

    private func dictionary(_ check: CheckResult) -> [String: Any] {
        [
            "state": check.state.rawValue, "healthy": check.healthy,
            "recoverable": check.recoverable, "verified": check.verified,
            "copies_expected": check.copiesExpected, "copies_good": check.copiesGood,
            "copies_corrupt": check.copiesCorrupt, "problems": check.problems,
        ]
    }

    private func put(_ bytes: [UInt8], _ key: String, _ d: inout [String: Any]) {
        if let text = String(validating: bytes, as: UTF8.self) {
            d[key] = text
        } else {
            d[key + "_b64"] = Data(bytes).base64EncodedString()
        }
    }

    private func time(_ time: Timestamp) -> NSNumber {
        NSNumber(value: Int64(time.nanosecondsSinceEpoch))
    }
}
