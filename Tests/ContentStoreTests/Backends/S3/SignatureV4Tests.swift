import ContentStore
import Platform
import Testing

/// A case of Amazon's test suite for Signature Version 4, by the name that it has there.
///
/// Cases of normalised paths are not among them: S3 does not normalise.
struct SigningCase: Sendable, CustomTestStringConvertible {
    var name: String
    var method = "GET"
    var path = "/"
    var query: [(name: String, value: String)] = []
    var headers: [(name: String, value: String)] = []
    var body = ""
    var signature: String

    var testDescription: String { name }
}

private let unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
private let token =
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeo"
    + "IYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq"
    + "5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypN"
    + "C9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

let signingCases = [
    SigningCase(
        name: "get-vanilla",
        signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    SigningCase(
        name: "get-header-key-duplicate",
        headers: [("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
        signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"),
    SigningCase(
        name: "get-header-value-order",
        headers: [
            ("My-Header1", "value4"), ("My-Header1", "value1"), ("My-Header1", "value3"),
            ("My-Header1", "value2"),
        ],
        signature: "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"),
    SigningCase(
        name: "get-header-value-trim",
        headers: [("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
        signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
    SigningCase(
        name: "get-unreserved", path: "/" + unreserved,
        signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
    SigningCase(
        name: "get-utf8", path: "/ሴ",
        signature: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    SigningCase(
        name: "get-space", path: "/example space/",
        signature: "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
    SigningCase(
        name: "get-vanilla-empty-query-key", query: [("Param1", "value1")],
        signature: "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
    SigningCase(
        name: "get-vanilla-query-order-key", query: [("Param1", "value2"), ("Param1", "Value1")],
        signature: "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"),
    SigningCase(
        name: "get-vanilla-query-order-key-case",
        query: [("Param2", "value2"), ("Param1", "value1")],
        signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    SigningCase(
        name: "get-vanilla-query-order-value",
        query: [("Param1", "value2"), ("Param1", "value1")],
        signature: "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"),
    SigningCase(
        name: "get-vanilla-query-unreserved", query: [(unreserved, unreserved)],
        signature: "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"),
    SigningCase(
        name: "get-vanilla-utf8-query", query: [("ሴ", "bar")],
        signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
    SigningCase(
        name: "post-vanilla", method: "POST",
        signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    SigningCase(
        name: "post-header-key-sort", method: "POST", headers: [("My-Header1", "value1")],
        signature: "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"),
    SigningCase(
        name: "post-header-value-case", method: "POST", headers: [("My-Header1", "VALUE1")],
        signature: "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"),
    SigningCase(
        name: "post-vanilla-query", method: "POST", query: [("Param1", "value1")],
        signature: "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"),
    SigningCase(
        name: "post-x-www-form-urlencoded", method: "POST",
        headers: [("Content-Type", "application/x-www-form-urlencoded")], body: "Param1=value1",
        signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
    SigningCase(
        name: "post-sts-header-before", method: "POST",
        headers: [("X-Amz-Security-Token", token)],
        signature: "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"),
]

@Suite struct SignatureV4Tests {
    @Test(arguments: signingCases) func amazonsSuite(_ test: SigningCase) {
        let body = Array(test.body.utf8)
        let authorization = SignatureV4.authorization(
            method: test.method, path: SignatureV4.encode(test.path, keepingSlashes: true),
            query: test.query,
            headers: test.headers + [
                ("Host", "example.amazonaws.com"), ("X-Amz-Date", "20150830T123600Z"),
            ],
            payload: "\(SHA256Hasher.hash(body.span))", date: "20150830T123600Z",
            region: "us-east-1", service: "service",
            credentials: S3Credentials(
                accessKey: "AKIDEXAMPLE",
                secretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"))
        #expect(authorization.hasSuffix("Signature=\(test.signature)"))
        #expect(
            authorization.hasPrefix(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
            ))
    }

    /// The examples of the Amazon S3 API reference.
    @Test(arguments: [
        SigningCase(
            name: "GET Object", path: "/test.txt", headers: [("Range", "bytes=0-9")],
            signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        SigningCase(
            name: "PUT Object", method: "PUT", path: "/test$file.text",
            headers: [
                ("Date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ],
            body: "Welcome to Amazon S3.",
            signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
        SigningCase(
            name: "GET Bucket Lifecycle", query: [("lifecycle", "")],
            signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        SigningCase(
            name: "Get Bucket (List Objects)", query: [("max-keys", "2"), ("prefix", "J")],
            signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ]) func s3Examples(_ test: SigningCase) {
        let bytes = Array(test.body.utf8)
        let payload = "\(SHA256Hasher.hash(bytes.span))"
        let authorization = SignatureV4.authorization(
            method: test.method, path: SignatureV4.encode(test.path, keepingSlashes: true),
            query: test.query,
            headers: test.headers + [
                ("Host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", "20130524T000000Z"),
                ("x-amz-content-sha256", payload),
            ],
            payload: payload, date: "20130524T000000Z", region: "us-east-1",
            credentials: S3Credentials(
                accessKey: "AKIAIOSFODNN7EXAMPLE",
                secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))
        #expect(authorization.hasSuffix("Signature=\(test.signature)"))
    }

    @Test func dates() {
        #expect(
            SignatureV4.date(Timestamp(seconds: 1_369_353_600, nanoseconds: 9))
                == "20130524T000000Z")
    }
}
