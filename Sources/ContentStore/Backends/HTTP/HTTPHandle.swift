internal import CCurl
internal import Platform

/// One of libcurl's easy handles, with the connections that it keeps open.
///
/// Unchecked: used by one thread at a time, the one that took it out of the client's pool.
@safe final class HTTPHandle: @unchecked Sendable {
    private let curl: UnsafeMutableRawPointer
    private let errorText: UnsafeMutablePointer<CChar>
    let options: HTTPOptions

    init(_ options: HTTPOptions) throws(HTTPError) {
        guard cu_load() == 0 else {
            throw .permanent(
                "libcurl cannot be loaded: \(unsafe String(cString: cu_load_error()))")
        }
        guard let curl = unsafe cu_new() else { throw .temporary("libcurl has no memory") }
        unsafe self.curl = unsafe curl
        unsafe errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        self.options = options
    }

    deinit {
        unsafe cu_free(curl)
        unsafe errorText.deallocate()
    }

    /// Sends `request` and drives `transfer` until the answer is complete.
    func perform(_ request: HTTPRequest, _ transfer: HTTPTransfer) throws(HTTPError) {
        unsafe cu_reset(curl)
        unsafe errorText.pointee = 0
        let lines = unsafe try headerLines(request)
        defer { unsafe cu_free_list(lines) }
        try setConnection(request)
        try setTransfer(request, transfer)
        try check(unsafe cu_set_pointer(curl, CURLOPT_HTTPHEADER, lines))
        let code = withExtendedLifetime(transfer) { unsafe cu_perform(curl) }
        if let failure = transfer.failure { throw failure }
        guard code == CURLE_OK else { throw error(code) }
        var status = 0
        try check(unsafe cu_get_long(curl, CURLINFO_RESPONSE_CODE, &status))
        transfer.status = status
    }

    private func headerLines(
        _ request: HTTPRequest
    ) throws(HTTPError) -> UnsafeMutablePointer<curl_slist>? {
        var list: UnsafeMutablePointer<curl_slist>?
        // An answer that has to be waited for before the body costs more than it saves.
        var lines = ["Expect:"]
        for (name, value) in request.headers {
            guard !"\(name)\(value)".utf8.contains(where: { $0 == 10 || $0 == 13 || $0 == 0 })
            else { throw .permanent("header \(name) holds a line break") }
            // With a semicolon libcurl sends a header without a value.
            lines.append(value.isEmpty ? "\(name);" : "\(name): \(value)")
        }
        for line in lines {
            guard let longer = unsafe cu_append(list, line) else {
                unsafe cu_free_list(list)
                throw .temporary("libcurl has no memory")
            }
            unsafe list = unsafe longer
        }
        return unsafe list
    }

    private func setConnection(_ request: HTTPRequest) throws(HTTPError) {
        try set(CURLOPT_NOSIGNAL, 1)
        try check(unsafe cu_set_pointer(curl, CURLOPT_ERRORBUFFER, errorText))
        try set(CURLOPT_URL, request.url)
        try set(CURLOPT_PATH_AS_IS, 1)
        try set(CURLOPT_PROTOCOLS_STR, "http,https")
        try set(CURLOPT_FOLLOWLOCATION, 0)
        try set(CURLOPT_USERAGENT, "cistern")
        try set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS))
        try set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        try set(CURLOPT_SSL_VERIFYPEER, 1)
        try set(CURLOPT_SSL_VERIFYHOST, 2)
        if let file = options.caFile {
            try set(CURLOPT_CAINFO, file)
            // The system's folder of certificates would count beside the file.
            try check(unsafe cu_set_pointer(curl, CURLOPT_CAPATH, nil))
        }
        if !options.usesProxy { try set(CURLOPT_NOPROXY, "*") }
        try set(CURLOPT_CONNECTTIMEOUT_MS, Int(options.connectTimeout * 1000))
        try set(CURLOPT_TCP_KEEPALIVE, 1)
        // A connection that was idle for longer may have been dropped on the way unseen.
        try set(CURLOPT_MAXAGE_CONN, 50)
        try set(CURLOPT_BUFFERSIZE, options.downloadLimit == nil ? 256 << 10 : 16 << 10)
        try set(CURLOPT_UPLOAD_BUFFERSIZE, options.uploadLimit == nil ? 256 << 10 : 16 << 10)
    }

    private func setTransfer(_ request: HTTPRequest, _ transfer: HTTPTransfer) throws(HTTPError) {
        switch request.method {
        case .get: try set(CURLOPT_HTTPGET, 1)
        case .head: try set(CURLOPT_NOBODY, 1)
        case .delete: try set(CURLOPT_CUSTOMREQUEST, request.method.rawValue)
        case .put, .post:
            try set(CURLOPT_UPLOAD, 1)
            try set(CURLOPT_CUSTOMREQUEST, request.method.rawValue)
            try check(
                unsafe cu_set_size(
                    curl, CURLOPT_INFILESIZE_LARGE, curl_off_t(transfer.source.count)))
        }
        let context = unsafe Unmanaged.passUnretained(transfer).toOpaque()
        for option in [
            CURLOPT_WRITEDATA, CURLOPT_HEADERDATA, CURLOPT_READDATA, CURLOPT_SEEKDATA,
            CURLOPT_XFERINFODATA,
        ] {
            try check(unsafe cu_set_pointer(curl, option, context))
        }
        try check(unsafe cu_set_data_callback(curl, CURLOPT_WRITEFUNCTION, onBody))
        try check(unsafe cu_set_data_callback(curl, CURLOPT_HEADERFUNCTION, onHeader))
        try check(unsafe cu_set_data_callback(curl, CURLOPT_READFUNCTION, onRead))
        try check(unsafe cu_set_seek_callback(curl, onSeek))
        try check(unsafe cu_set_progress_callback(curl, onProgress))
        try set(CURLOPT_NOPROGRESS, 0)
    }

    private func set(_ option: CURLoption, _ value: Int) throws(HTTPError) {
        try check(unsafe cu_set_long(curl, option, value))
    }

    private func set(_ option: CURLoption, _ value: String) throws(HTTPError) {
        try check(unsafe cu_set_string(curl, option, value))
    }

    private func check(_ code: CURLcode) throws(HTTPError) {
        guard code != CURLE_OK else { return }
        throw .permanent("libcurl: \(unsafe String(cString: cu_error_text(code)))")
    }

    /// What a failed transfer means for another attempt.
    private func error(_ code: CURLcode) -> HTTPError {
        let detail = unsafe String(cString: errorText)
        let text = detail.isEmpty ? unsafe String(cString: cu_error_text(code)) : detail
        switch code {
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_URL_MALFORMAT,
            CURLE_UNSUPPORTED_PROTOCOL, CURLE_SSL_CIPHER, CURLE_SSL_ISSUER_ERROR,
            CURLE_BAD_FUNCTION_ARGUMENT, CURLE_UNKNOWN_OPTION, CURLE_SSL_ENGINE_NOTFOUND:
            return .permanent(text)
        default: return .temporary(text)
        }
    }
}

// libcurl calls these on the thread that performs, with the transfer as context.

private func transfer(_ context: UnsafeMutableRawPointer?) -> HTTPTransfer? {
    guard let context = unsafe context else { return nil }
    return unsafe Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
}

private let onBody: curl_write_callback = { bytes, size, count, context in
    guard let transfer = unsafe transfer(context), let bytes = unsafe bytes else { return 0 }
    let buffer = unsafe UnsafeRawBufferPointer(start: bytes, count: size * count)
    return unsafe transfer.receive(buffer.bytes) ? size * count : 0
}

private let onHeader: curl_write_callback = { bytes, size, count, context in
    guard let transfer = unsafe transfer(context), let bytes = unsafe bytes else { return 0 }
    let line = unsafe String(
        decoding: UnsafeRawBufferPointer(start: bytes, count: size * count), as: UTF8.self)
    return transfer.receiveHeader(line) ? size * count : 0
}

private let onRead: curl_write_callback = { bytes, size, count, context in
    guard let transfer = unsafe transfer(context), let bytes = unsafe bytes else {
        return Int(CURL_READFUNC_ABORT)
    }
    let room = unsafe UnsafeMutableRawBufferPointer(start: bytes, count: size * count)
    return unsafe transfer.send(into: room) ?? Int(CURL_READFUNC_ABORT)
}

private let onSeek: curl_seek_callback = { context, offset, origin in
    guard let transfer = unsafe transfer(context), origin == 0 else { return CURL_SEEKFUNC_FAIL }
    return transfer.seek(to: Int(offset)) ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL
}

private let onProgress: curl_xferinfo_callback = { context, _, downloaded, _, uploaded in
    guard let transfer = unsafe transfer(context) else { return 1 }
    return transfer.mayGoOn(total: Int(downloaded + uploaded)) ? 0 : 1
}
