package import Platform

/// How backends on a network are used; places on disks need none of it.
package struct BackendOptions: Sendable, Equatable {
    /// Connections, time-outs, limits, certificates.
    package var http = HTTPOptions()
    package var s3 = S3Options()

    package init() {}
}

extension BackendURL {
    /// The backend at this place; connects nowhere yet.
    ///
    /// - Parameter creating: make a directory that is not there.
    /// - Throws: a `store` failure when a directory is not there or cannot be used.
    package func open(
        _ options: BackendOptions, creating: Bool
    ) throws(Failure) -> any Backend {
        switch self {
        case .file(let path): try FileBackend(path: path, create: creating)
        case .s3(let location): S3Backend(location, options)
        case .rest(let location): RESTBackend(location, client: HTTPClient(options.http))
        }
    }
}
