import ContentStore
import Testing

@Suite struct XMLTests {
    func read(_ text: String) throws -> XMLRecords { try XMLRecords(Array(text.utf8)) }

    @Test func aListingIsRead() throws {
        let page = try read(
            """
            <?xml version="1.0" encoding="UTF-8"?>
            <!-- a comment with <tags> -->
            <s3:ListBucketResult xmlns:s3="http://s3.amazonaws.com/doc/2006-03-01/" a='>'>
              <IsTruncated>true</IsTruncated>
              <Contents><Key>a &amp;&#38;&#x26; b</Key><Size>12</Size>
                <Owner><ID>x</ID></Owner></Contents>
              <Contents><Key><![CDATA[<raw> & ]]></Key><Size/></Contents>
              <NextContinuationToken></NextContinuationToken>
            </s3:ListBucketResult>
            """)
        #expect(page.root == "ListBucketResult")
        #expect(page.fields["IsTruncated"] == "true")
        #expect(page.records.map(\.name) == ["Contents", "Contents"])
        #expect(page.records[0].fields["Key"] == "a &&& b")
        #expect(page.records[0].fields["Size"] == "12")
        #expect(page.records[0].fields["ID"] == nil)
        #expect(page.records[1].fields["Key"] == "<raw> & ")
    }

    /// A listing that was cut off must never look like a short one.
    @Test func everyBeginningOfADocumentIsRefused() throws {
        let text = "<a><b><c>1&lt;</c></b><!-- x --><d/></a>"
        _ = try read(text)
        for count in 0..<text.utf8.count {
            let part = String(decoding: text.utf8.prefix(count), as: UTF8.self)
            #expect(throws: XMLMalformed.self, "\(part)") { try read(part) }
        }
    }

    @Test(arguments: [
        "<a></b>", "</a>", "<a/><b/>", "<a>&unknown;</a>", "<a>&#xD800;</a>", "<a>&amp</a>",
        String(repeating: "<a>", count: 40) + String(repeating: "</a>", count: 40), "text", "<>",
    ]) func nonsenseIsRefused(_ text: String) {
        #expect(throws: XMLMalformed.self) { try read(text) }
    }

    /// Whatever comes, it ends, and nothing traps.
    @Test func noiseIsBorne() {
        let pieces = [
            "<a>", "</a>", "<", ">", "&", ";", "x", "/", "<!--", "-->", "<![CDATA[", "]]>", "\"",
        ]
        for seed in 1...2000 {
            let random = noise(12, seed: UInt64(seed))
            _ = try? read(random.map { pieces[Int($0) % pieces.count] }.joined())
        }
    }
}
