// swift-tools-version: 6.2
import PackageDescription

// The edges below are the architecture: the build runs with
// `--explicit-target-dependency-import-check error`, so an import that is not listed here fails.

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),  // SE-0335
    .enableUpcomingFeature("MemberImportVisibility"),  // SE-0444
    .enableUpcomingFeature("InternalImportsByDefault"),  // SE-0409
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),  // SE-0461
    .enableExperimentalFeature("Lifetimes"),  // SE-0446
    .treatAllWarnings(as: .error),  // SE-0480
]
/// Outside tests each use of a C pointer carries the word `unsafe` (SE-0458).
let safe: [SwiftSetting] = strict + [.strictMemorySafety()]

let argumentParser = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

func module(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: safe)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let package = Package(
    name: "cistern",
    products: [.executable(name: "cistern", targets: ["cistern"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // C: inline shims and system libraries
        .target(name: "CLinux"),
        .target(name: "CCurl"),
        .systemLibrary(
            name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(
            name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),

        // Foundations
        module("Platform", ["CLinux", "CZstd"]),
        module("Manifest", ["Platform"]),
        module("JobTable", ["Platform", grdb]),
        module("ContentStore", ["Platform", "CCrypto", "CCurl", grdb, sqlite]),

        // Stages
        module("Stages", ["Platform", "Manifest", "JobTable", "ContentStore"]),
        module("Checker", ["Platform", "Manifest", "JobTable", "ContentStore", "Stages"]),
        module("Repairer", ["Platform", "Manifest", "JobTable", "ContentStore", "Stages"]),
        module("Dehydrator", ["Platform", "Manifest", "JobTable", "ContentStore", "Stages"]),

        // Control
        module("Dispatcher", ["Platform", "JobTable", yams]),
        .executableTarget(
            name: "cistern",
            dependencies: [
                "Platform", "Manifest", "JobTable", "ContentStore", "Stages", "Checker",
                "Repairer", "Dehydrator", "Dispatcher", argumentParser,
            ],
            swiftSettings: safe),

        // Tests and measurements
        .target(
            name: "TestSupport", dependencies: ["Platform"], path: "Tests/Support",
            swiftSettings: strict),
        .target(
            name: "StoreTestSupport", dependencies: ["ContentStore", "Platform"],
            path: "Tests/StoreSupport", swiftSettings: strict),
        .executableTarget(
            name: "Benchmarks", dependencies: ["TestSupport", "Platform"], path: "Benchmarks",
            swiftSettings: strict),
        tests("PlatformTests", ["Platform", "TestSupport"]),
        tests("ManifestTests", ["Manifest", "Platform", "TestSupport"]),
        tests("JobTableTests", ["JobTable", "Platform", "TestSupport"]),
        tests(
            "ContentStoreTests",
            ["ContentStore", "Platform", "StoreTestSupport", "TestSupport"]),
        tests(
            "StagesTests",
            [
                "Stages", "Manifest", "JobTable", "ContentStore", "Checker", "Repairer",
                "Dehydrator", "Platform", "StoreTestSupport", "TestSupport",
            ]),
        tests("DispatcherTests", ["Dispatcher", "JobTable", "Platform", "TestSupport"]),
        tests("IntegrationTests", ["TestSupport", "Platform"]),
    ]
)
