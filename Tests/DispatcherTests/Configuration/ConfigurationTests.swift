import Dispatcher
import Foundation
import Platform
import TestSupport
import Testing

/// A mistake, and what must be said about it.
struct Mistake: Sendable, CustomTestStringConvertible {
    var yaml: String
    var line: Int
    var column: Int
    var message: String
    var hint: String
    var severity: ConfigurationProblem.Severity

    init(
        _ yaml: String, _ line: Int, _ column: Int, _ message: String, _ hint: String = "",
        severity: ConfigurationProblem.Severity = .error
    ) {
        self.yaml = yaml
        self.line = line
        self.column = column
        self.message = message
        self.hint = hint
        self.severity = severity
    }

    var testDescription: String { message }

    /// Whether `problems` has it at its place.
    func isAmong(_ problems: [ConfigurationProblem]) -> Bool {
        problems.contains {
            $0.line == line && $0.column == column && $0.message.contains(message)
                && (hint.isEmpty || ($0.hint ?? "").contains(hint)) && $0.severity == severity
        }
    }
}

private let store = "store: {url: file:./store}\n"
private let web = "modules: [{name: web, path: ./web}]\n"

@Suite(.temporaryFolder) struct ConfigurationTests {
    private var folder: TemporaryFolder {
        get throws { try #require(TemporaryFolder.current) }
    }

    private func write(_ text: String, to name: String = "cistern.yaml") throws -> String {
        let path = try folder(name)
        try FileManager.default.createDirectory(
            atPath: Path.folder(of: path), withIntermediateDirectories: true)
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private func makeFolders(_ names: String...) throws {
        for name in names {
            try FileManager.default.createDirectory(
                atPath: folder(name), withIntermediateDirectories: true)
        }
    }

    @Test func everythingIsRead() throws {
        try makeFolders("web", "mail")
        let path = try write(
            """
            state: ./var/state
            store:
              url: file:store
              password_file: secret/key
              mirrors: [file:second, "file:/third"]
            modules:
              - {name: web, path: web, exclude: ["*.tmp", cache/], one_file_system: true}
              - {name: mail, path: \(folder("mail"))}
            workers: 7
            keep_runs: 9
            """)
        let configuration = try Configuration.load(path)
        let base = try folder.path
        #expect(configuration.state == "\(base)/var/state")
        #expect(
            configuration.store
                == StoreSettings(
                    url: "file:\(base)/store", passwordFile: "\(base)/secret/key",
                    mirrors: ["file:\(base)/second", "file:/third"]))
        #expect(
            configuration.modules == [
                ModuleDefinition(name: "mail", path: "\(base)/mail"),
                ModuleDefinition(
                    name: "web", path: "\(base)/web", exclude: ["*.tmp", "cache/"],
                    oneFileSystem: true),
            ])
        #expect(configuration.workers == 7)
        #expect(configuration.keepRuns == 9)
        #expect(configuration.warnings.isEmpty)
    }

    @Test func storesOnANetworkAreRead() throws {
        try makeFolders("web")
        let configuration = try Configuration.load(
            write(
                """
                store:
                  url: s3:https://Host.example:443/my-bucket//some/prefix/
                  connections: 3
                  limit_upload: 500K
                  limit_download: 20M
                  s3: {region: eu-west-1, profile: work, path_style: false, ca_file: certs/ca}
                \(web)
                """))
        #expect(configuration.store.url == "s3:https://host.example/my-bucket/some/prefix")
        let network = configuration.store.network
        #expect(network.connections == 3)
        #expect(network.uploadLimit == 500 << 10)
        #expect(network.downloadLimit == 20 << 20)
        #expect(network.region == "eu-west-1")
        #expect(network.profile == "work")
        #expect(network.pathStyle == false)
        #expect(network.caFile == "\(try folder.path)/certs/ca")
    }

    /// As restic takes them.
    @Test(arguments: [
        ("s3:s3.amazonaws.com/b/p", "s3:https://s3.amazonaws.com/b/p"),
        ("s3://h/b", "s3:https://h/b"), ("s3:http://h:80/b", "s3:http://h/b"),
        ("s3:http://127.0.0.1:9000/b/", "s3:http://127.0.0.1:9000/b"),
        ("s3:https://[::1]:9000/b/p", "s3:https://[::1]:9000/b/p"), ("file:x", "file:/etc/x"),
    ]) func storeURLs(_ text: String, _ read: String) throws {
        let url = try BackendURL.parse(text, in: "/etc")
        #expect(url.description == read)
        #expect(try BackendURL.parse(read, in: "/") == url)
    }

    @Test func defaults() throws {
        try makeFolders("web")
        let configuration = try Configuration.load(write(store + web))
        #expect(configuration.state == "\(try folder.path)/state")
        #expect(configuration.workers == 2)
        #expect(configuration.keepRuns == 3)
        #expect(configuration.store.passwordFile == nil)
    }

    @Test(arguments: configurationMistakes)
    func mistakes(_ mistake: Mistake) throws {
        try makeFolders("web/in", "other")
        try FileManager.default.createSymbolicLink(
            atPath: folder("link"), withDestinationPath: "web")
        _ = try write("", to: "file")
        let path = try write(mistake.yaml)
        let (configuration, problems) = try Configuration.check(path)
        #expect(mistake.isAmong(problems), "\(problems)")
        #expect((configuration == nil) == (mistake.severity == .error))
        #expect(problems.allSatisfy { $0.file == path })
    }

    @Test func allMistakesAtOnce() throws {
        let path = try write(
            "stor: x\nworkers: -1\nmodules: [{name: a/b, path: /}, {nam: c}]\nstore: {url: x}\n")
        let (_, problems) = try Configuration.check(path)
        #expect(problems.filter { $0.severity == .error }.count >= 6, "\(problems)")
        let failure = #expect(throws: Failure.self) { try Configuration.load(path) }
        #expect(failure?.kind == .usage)
        #expect(failure?.message.contains("\(path):2:10: error: `workers`") == true)
    }

    @Test func passwordsInURLsAreNotRepeated() throws {
        let path = try write("store: {url: 's3:https://user:hunter2@host/b'}\n" + web)
        let (_, problems) = try Configuration.check(path)
        #expect(!problems.isEmpty)
        #expect(!"\(problems)".contains("hunter2"))
    }

    /// References are copied: nine levels of nine would be 400 million values.
    @Test func expansionIsBounded() throws {
        var yaml = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        for i in 1...8 {
            let refs = Array(repeating: "*a\(i - 1)", count: 9).joined(separator: ",")
            yaml += "a\(i): &a\(i) [\(refs)]\n"
        }
        let (_, problems) = try Configuration.check(write(yaml))
        #expect(problems.contains { $0.message.contains("more than") })
    }

    @Test func unreadableFile() throws {
        let path = try folder("nothing.yaml")
        let failure = #expect(throws: Failure.self) { try Configuration.check(path) }
        #expect(failure?.kind == .usage)
        #expect(failure?.description.contains("ENOENT") == true)
    }

    @Test func roots() throws {
        try makeFolders(
            "mods/a", "mods/b", "mods/skip-me", "mods/bad_name", "mods/own", "elsewhere")
        _ = try write("", to: "mods/file")
        try FileManager.default.createSymbolicLink(
            atPath: folder("mods/link"), withDestinationPath: "../elsewhere")
        let path = try write(
            store + """
                modules:
                  - {name: own, path: ./mods/own, exclude: [x]}
                  - root: ./mods
                    include: ["[a-z]*"]
                    exclude: ["skip*"]
                    module_exclude: ["*.tmp"]
                    one_file_system: true

                """)
        let configuration = try Configuration.load(path)
        let base = try folder.path
        #expect(
            configuration.modules == [
                ModuleDefinition(
                    name: "a", path: "\(base)/mods/a", exclude: ["*.tmp"], oneFileSystem: true),
                ModuleDefinition(
                    name: "b", path: "\(base)/mods/b", exclude: ["*.tmp"], oneFileSystem: true),
                ModuleDefinition(name: "own", path: "\(base)/mods/own", exclude: ["x"]),
            ])
        // Neither is left out in silence.
        #expect(configuration.warnings.contains { $0.message.contains("`bad_name`") })
        #expect(configuration.warnings.contains { $0.message.contains("`link`") })
        #expect(configuration.warnings.count == 2)
    }

    @Test func starterIsGood() throws {
        for file in Starter.files { _ = try write(file.text, to: file.path) }
        let configuration = try Configuration.load(folder("cistern.yaml"))
        #expect(configuration.warnings.map(\.message) == ["no module is configured"])
        for name in ["nightly", "verify"] {
            let found = try PipelineDefinition.find(name, in: configuration)
            let (pipeline, problems) = try PipelineDefinition.check(found)
            #expect(pipeline?.name == name)
            #expect(problems.isEmpty)
        }
    }
}

private let configurationMistakes: [Mistake] = [
    Mistake(store + web + "stat: x\n", 3, 1, "unknown key `stat`", "did you mean `state`?"),
    Mistake(store + web + "xyzzy: x\n", 3, 1, "unknown key `xyzzy`", "allowed keys: state,"),
    Mistake(
        store + web + "jobs: postgres://x\n", 3, 1, "unknown key `jobs`", "allowed keys: state,"),
    Mistake(web, 1, 1, "`store` is missing"),
    Mistake(store, 1, 1, "`modules` is missing"),
    Mistake("store: yes\n" + web, 1, 8, "`store` must be a mapping"),
    Mistake("store: {}\n" + web, 1, 1, "`url` of the store is missing"),
    Mistake("store: {url: [a]}\n" + web, 1, 14, "must be a text"),
    Mistake("store: {url: 'file:'}\n" + web, 1, 14, "has no path"),
    Mistake("store: {url: ftp:x}\n" + web, 1, 14, "unknown kind", "allowed: file:PATH"),
    Mistake("store: {url: 's3:https://h'}\n" + web, 1, 14, "names no host or no bucket"),
    Mistake("store: {url: 's3:https://h/b/../c'}\n" + web, 1, 14, "no bucket or prefix may"),
    Mistake("store: {url: 's3:https://h:0/b'}\n" + web, 1, 14, "an unusable host"),
    Mistake("store: {url: 's3:https://h/b c'}\n" + web, 1, 14, "no bucket or prefix may"),
    Mistake("store: {url: 's3:https://h/b_%41'}\n" + web, 1, 14, "an unusable bucket"),
    Mistake("store: {url: 's3:https://u:p@h/b'}\n" + web, 1, 14, "holds a user"),
    Mistake(
        "store: {url: file:s, connections: 0}\n" + web, 1, 35, "`connections` must be a whole",
        "1 to 64"),
    Mistake(
        "store: {url: file:s, limit_upload: 12}\n" + web, 1, 36, "bytes a second",
        "a number with K, M or G"),
    Mistake("store: {url: file:s, limit_download: 1X}\n" + web, 1, 38, "bytes a second"),
    Mistake("store: {url: file:s, limit_download: -1M}\n" + web, 1, 38, "bytes a second"),
    Mistake(
        "store: {url: file:s, s3: {regoin: x}}\n" + web, 1, 27, "unknown key `regoin`",
        "did you mean `region`?"),
    Mistake("store: {url: file:s, s3: {path_style: 7}}\n" + web, 1, 39, "true or false"),
    Mistake("store: {url: rest:h}\n" + web, 1, 14, "the rest: URL of the store cannot be used"),
    Mistake("store: {url: 'rest:http://u:%zz@h/'}\n" + web, 1, 14, "the rest: URL"),
    Mistake(
        "store: {url: file:./store, mirrors: [file:./store/b]}\n" + web, 1, 38,
        "the mirror shares a place with the store"),
    Mistake(
        "store: {url: file:./store, mirrors: [file:b, file:b]}\n" + web, 1, 46,
        "shares a place with another mirror"),
    Mistake("store: {url: file:./store, mirrors: [ftp:b]}\n" + web, 1, 38, "unknown kind"),
    Mistake(
        "store: {url: file:./store, mirrors: [file:./state/m]}\n" + web, 1, 1,
        "state and mirror share a place"),
    Mistake(
        "store: {url: file:./store, pasword_file: k}\n" + web, 1, 28,
        "unknown key `pasword_file`", "did you mean `password_file`?"),
    Mistake(
        "store: {url: file:./s, password_command: pass show x}\n" + web, 1, 42,
        "must be a list of a program", "[pass, show, cistern]"),
    Mistake(
        "store: {url: file:./s, password_command: []}\n" + web, 1, 42, "must be a list of a program"
    ),
    Mistake(
        "store: {url: file:./s, password_file: k, password_command: [a]}\n" + web, 1, 42,
        "`password_command` beside `password_file`", "one of the two"),
    Mistake(
        "store: {url: file:./s, scope: modul}\n" + web, 1, 31, "`scope` cannot be `modul`",
        "did you mean `module`?"),
    Mistake(
        "store: {url: file:./s, scope: module, password_file: k}\n" + web, 1, 54,
        "the same for all modules", "{module}"),
    Mistake(
        "store: {url: file:./s, scope: module, password_command: [pass, k]}\n" + web, 1, 57,
        "the same for all modules", "{module}"),
    Mistake(
        "store: {url: file:./s, password_file: './{module}'}\n" + web, 1, 39,
        "without `scope: module`"),
    Mistake(store + web + "workers: 0\n", 3, 10, "must be a whole number", "1 to 1024"),
    Mistake(store + web + "workers: many\n", 3, 10, "must be a whole number"),
    Mistake(store + web + "workers: '2'\n", 3, 10, "must be a whole number"),
    Mistake(store + web + "keep_runs: 0\n", 3, 12, "must be a whole number"),
    Mistake(store + web + "state: [x]\n", 3, 8, "`state` must be a text"),
    Mistake(store + "modules: web\n", 2, 10, "`modules` must be a list"),
    Mistake(store + "modules: [web]\n", 2, 11, "a module must be a mapping"),
    Mistake(store + "modules: [{path: ./web}]\n", 2, 11, "a module without `name`"),
    Mistake(store + "modules: [{name: web}]\n", 2, 11, "a module without `path`"),
    Mistake(
        store + "modules: [{name: a.b, path: ./web}]\n", 2, 18, "`a.b` cannot name a module",
        "letters, digits and -"),
    Mistake(store + "modules: [{name: ../x, path: ./web}]\n", 2, 18, "cannot name"),
    Mistake(store + "modules: [{name: -x, path: ./web}]\n", 2, 18, "cannot name"),
    Mistake(
        store + "modules: [{name: a, path: ./web, exclud: []}]\n", 2, 34,
        "unknown key `exclud`",
        "did you mean `exclude`?"),
    Mistake(
        store + "modules: [{name: a, path: ./web, one_file_system: 1}]\n", 2, 51,
        "true or false"),
    Mistake(
        store + "modules: [{name: a, path: ./web, exclude: {a: b}}]\n", 2, 43,
        "must be a list of texts"),
    Mistake(store + "modules: [{name: a, path: ./file}]\n", 2, 27, "is not a directory"),
    Mistake(
        store + "modules: [{name: a, path: ./gone}]\n", 2, 27, "does not exist",
        severity: .warning),
    Mistake(
        store + "modules: [{root: ./gone}]\n", 2, 18, "does not exist", severity: .warning),
    Mistake(
        store + "modules: [{root: ./web, include: ['[']}]\n", 2, 35, "`[` is not a pattern"),
    Mistake(store + "modules: [{root: ./web, name: a}]\n", 2, 25, "unknown key `name`"),
    Mistake(store + "modules: []\n", 2, 1, "no module is configured", severity: .warning),
    Mistake(
        store
            + "modules:\n- {name: a, path: ./web}\n- {name: a, path: ./other}\n", 4, 3,
        "module `a`", "line 3"),
    Mistake(
        store
            + "modules:\n- {name: a, path: ./web}\n- {name: b, path: ./web/in}\n", 4, 3,
        "lies in module `a`"),
    Mistake(
        store
            + "modules:\n- {name: a, path: ./web}\n- {name: b, path: ./web}\n", 4, 3,
        "lies in module `a`"),
    Mistake(
        store
            + "modules:\n- {name: a, path: ./web}\n- {name: b, path: ./link/in}\n", 4, 3,
        "lies in module `a`"),
    Mistake(store + "modules: [{name: a, path: .}]\n", 2, 11, "contains the state"),
    Mistake(store + "modules: [{name: a, path: .}]\n", 2, 11, "contains the store"),
    Mistake(
        "store: {url: file:./web/store}\nmodules: [{name: a, path: ./web}]\n", 2, 11,
        "contains the store"),
    Mistake(
        "store: {url: file:.}\nstate: /nowhere/x\n" + web, 3, 11, "lies in the store"),
    Mistake(
        "store: {url: file:./state/s}\n" + web, 1, 1, "state and store share a place"),
    Mistake("store: {url: file:./s}\nstore: {url: file:./s}\n" + web, 1, 1, "key twice"),
    Mistake("store: [\n", 2, 1, "did not find expected"),
    Mistake("store: *nothing\n", 1, 8, "undefined alias"),
    Mistake("? [a]\n: b\n", 1, 3, "a key must be a word"),
]
