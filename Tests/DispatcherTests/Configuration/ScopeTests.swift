import Dispatcher
import Platform
import Testing

/// The store of one module, where each has its own.
@Suite struct ScopeTests {
    private func configuration(
        _ url: String, scope: StoreScope = .module, mirrors: [String] = [], file: String? = nil,
        command: [String]? = nil
    ) -> Configuration {
        Configuration(
            file: "/x/cistern.yaml", state: "/x/state",
            store: StoreSettings(
                url: url, passwordFile: file, passwordCommand: command, mirrors: mirrors,
                scope: scope),
            modules: [], workers: 1, keepRuns: 1, warnings: [])
    }

    @Test(arguments: [
        ("file:/a/store", "file:/a/store/web"), ("file:/", "file:/web"),
        ("s3:https://h/b", "s3:https://h/b/web"), ("s3:https://h/b/p/q", "s3:https://h/b/p/q/web"),
        ("rest:https://h:8000/", "rest:https://h:8000/web/"),
        ("rest:https://h/p", "rest:https://h/p/web/"),
        // The user and password stay.
        ("rest:https://u:p@h/p/", "rest:https://u:p@h/p/web/"),
    ]) func placesAreBelow(_ url: String, _ own: String) throws {
        let narrowed = try configuration(url, mirrors: [url]).narrowed(to: "web")
        #expect(narrowed.store.url == own)
        #expect(narrowed.store.mirrors == [own])
        #expect(narrowed.store.fleetURL == url)
        #expect(narrowed.store.module == "web")
        let place = try BackendURL.parse(narrowed.store.url, in: "/")
        #expect(place == (try BackendURL.parse(url, in: "/").below("web")))
    }

    @Test func passwordsAreOfTheModule() throws {
        let files = try configuration("file:/s", file: "/k/{module}/{module}.key")
            .narrowed(to: "web")
        #expect(files.store.passwordFile == "/k/web/web.key")
        let command = try configuration("file:/s", command: ["pass", "show", "x/{module}"])
            .narrowed(to: "web")
        #expect(command.store.passwordCommand == ["pass", "show", "x/web"])
    }

    @Test func stateIsOfTheModule() throws {
        let whole = configuration("file:/s")
        #expect(try whole.narrowed(to: "web").storeState == "/x/state/module-stores/web")
        #expect(try whole.narrowed(to: "web").state == "/x/state")
        let fleet = configuration("file:/s", scope: .fleet)
        #expect(try fleet.narrowed(to: "web") == fleet)
        #expect(fleet.storeState == "/x/state")
    }

    @Test func narrowedOnceOnly() throws {
        let web = try configuration("file:/s").narrowed(to: "web")
        #expect(try web.narrowed(to: "web") == web)
        #expect(throws: Failure.self) { try web.narrowed(to: "mail") }
    }

    @Test(arguments: ["", "..", "a/b", "-x", "a b"])
    func otherNamesAreRefused(_ name: String) throws {
        #expect(throws: Failure.self) { try configuration("file:/s").narrowed(to: name) }
    }
}
