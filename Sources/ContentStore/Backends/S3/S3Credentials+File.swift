extension S3Credentials {
    /// The keys of a profile in the text of a shared credentials file; nil when it has none.
    ///
    /// INI: `[profile]`, `name = value`, comments with `#` or `;`.
    package static func parse(_ text: String, profile: String) -> S3Credentials? {
        var isOurs = false
        var fields: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            let line = trim(line)
            if line.hasPrefix("#") || line.hasPrefix(";") { continue }
            if line.hasPrefix("["), let end = line.firstIndex(of: "]") {
                let name = trim(line[line.index(after: line.startIndex)..<end])
                isOurs = name == profile || name == "profile \(profile)"
                continue
            }
            guard isOurs, let equals = line.firstIndex(of: "=") else { continue }
            fields[trim(line[..<equals]).lowercased()] =
                String(trim(line[line.index(after: equals)...]))
        }
        guard let access = fields["aws_access_key_id"], !access.isEmpty,
            let secret = fields["aws_secret_access_key"], !secret.isEmpty
        else { return nil }
        let token = fields["aws_session_token"]
        return S3Credentials(
            accessKey: access, secretKey: secret, token: token?.isEmpty == true ? nil : token)
    }

    private static func trim(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " || $0 == "\t" || $0 == "\r" }
        while let last = text.last, last == " " || last == "\t" || last == "\r" {
            text.removeLast()
        }
        return text
    }
}
