use super::dependencies::{self, Metadata};
use super::lengths;
use super::rules::Rules;

const RULES: &str = r#"
[[tier]]
name = "words"
crates = ["core"]
[[tier]]
name = "means"
crates = ["store", "journal", "http"]
[[tier]]
name = "protocols"
crates = ["proto-a", "proto-b"]
[[tier]]
name = "tests"
crates = ["testkit"]
for-tests = true

[[same-tier]]
from = "journal"
to = ["store"]
why = "segments are listed in the database"

[[restricted]]
crates = ["axum", "tonic"]
only = ["http", "proto-*"]
why = "the inside knows no HTTP"

[[restricted]]
crates = ["sqlx"]
only = ["store"]
why = "one crate speaks SQL drivers"

[files]
soft = 3
hard = 5
folders = ["crates"]
endings = [".rs"]
"#;

/// A crate with its dependencies, each with its kind.
type Krate = (&'static str, &'static [(&'static str, Option<&'static str>)]);

/// Crates as `cargo metadata` tells them.
fn workspace(crates: &[Krate]) -> Metadata {
    let packages: Vec<_> = crates
        .iter()
        .map(|(folder, dependencies)| {
            let dependencies: Vec<_> = dependencies
                .iter()
                .map(|(name, kind)| {
                    let path = name.strip_prefix("mainspring-").map(|f| format!("/w/crates/{f}"));
                    serde_json::json!({"name": name, "kind": kind, "path": path, "optional": false})
                })
                .collect();
            serde_json::json!({
                "name": format!("mainspring-{folder}"),
                "manifest_path": format!("/w/crates/{folder}/Cargo.toml"),
                "dependencies": dependencies,
            })
        })
        .collect();
    Metadata::parse(&serde_json::json!({"packages": packages, "version": 1}).to_string()).unwrap()
}

/// A workspace that breaks no rule, with `more` in place of the crates of the same name.
fn findings(more: &[Krate]) -> Vec<String> {
    let good: &[Krate] = &[
        ("core", &[("serde", None)]),
        ("store", &[("mainspring-core", None), ("sqlx", None)]),
        ("journal", &[("mainspring-core", None), ("mainspring-store", None)]),
        ("http", &[("axum", None)]),
        ("proto-a", &[("mainspring-http", None), ("axum", None)]),
        ("proto-b", &[("mainspring-store", None), ("tonic", None)]),
        ("testkit", &[("mainspring-store", None)]),
    ];
    let kept = good.iter().filter(|(name, _)| !more.iter().any(|(m, _)| m == name));
    let all: Vec<_> = kept.chain(more).copied().collect();
    let rules = Rules::parse(RULES).unwrap();
    dependencies::check(&rules, &workspace(&all)).iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_workspace_passes() {
    assert_eq!(findings(&[]), Vec::<String>::new());
}

#[test]
fn a_dependency_upwards_is_refused_even_in_tests() {
    let kinds: [Krate; 3] = [
        ("core", &[("mainspring-store", None)]),
        ("core", &[("mainspring-store", Some("dev"))]),
        ("core", &[("mainspring-store", Some("build"))]),
    ];
    for krate in kinds {
        let found = findings(&[krate]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/core/Cargo.toml: `core` (words) must not depend on `store` (means)"));
    }
}

#[test]
fn what_is_for_tests_may_be_used_by_every_test_and_by_nothing_else() {
    assert_eq!(findings(&[("core", &[("mainspring-testkit", Some("dev"))])]), Vec::<String>::new());
    assert_eq!(findings(&[("http", &[("mainspring-testkit", None)])]).len(), 1);
}

#[test]
fn neighbours_need_an_exception_outside_tests() {
    let found = findings(&[("proto-a", &[("mainspring-proto-b", None)])]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("both are protocols"), "{found:?}");
    assert_eq!(findings(&[("proto-a", &[("mainspring-proto-b", Some("dev"))])]), Vec::<String>::new());
}

#[test]
fn an_exception_that_nobody_uses_is_named() {
    let found = findings(&[("journal", &[("mainspring-core", None)])]);
    assert_eq!(found, ["layers.toml: `journal` no longer depends on `store`; remove the exception"]);
}

#[test]
fn a_restricted_crate_outside_its_owner_is_refused_with_the_reason() {
    let found = findings(&[("journal", &[("mainspring-store", None), ("axum", None)])]);
    assert_eq!(
        found,
        [
            "crates/journal/Cargo.toml: `journal` must not name `axum`: only http, proto-* may, because the inside knows no HTTP"
        ]
    );
    let in_tests = findings(&[("journal", &[("mainspring-store", None), ("axum", Some("dev"))])]);
    assert_eq!(in_tests, Vec::<String>::new());
}

#[test]
fn a_crate_in_no_tier_and_a_tier_without_its_crate_are_named() {
    let found = findings(&[("extra", &[])]);
    assert_eq!(found, ["layers.toml: `extra` stands in no tier; add it to the one it belongs to"]);
    let rules = Rules::parse(&RULES.replace("\"core\"", "\"core\", \"gone\"")).unwrap();
    let found = dependencies::check(&rules, &workspace(&[]));
    assert!(found.iter().any(|f| f.what == "`gone` in tier words is no crate of the workspace"), "{found:?}");
}

#[test]
fn a_package_must_lie_in_the_folder_of_its_name() {
    let moved = serde_json::json!({"packages": [
        {"name": "mainspring-core", "manifest_path": "/w/crates/kernel/Cargo.toml", "dependencies": []},
    ]});
    let found = dependencies::check(&Rules::parse(RULES).unwrap(), &Metadata::parse(&moved.to_string()).unwrap());
    assert!(found.iter().any(|f| f.what.contains("must lie in a folder `core`")), "{found:?}");
}

#[test]
fn unknown_keys_in_the_rules_are_refused() {
    let error = Rules::parse(&RULES.replace("hard =", "hart =")).unwrap_err().to_string();
    assert!(error.contains("hart"), "{error}");
}

#[test]
fn each_manifest_takes_the_lints_of_the_workspace() {
    let rules = Rules::parse(RULES).unwrap();
    let good = "[package]\nname = \"x\"\n[lints]\nworkspace = true\n";
    assert!(dependencies::check_lints(&rules, "x", "crates/x/Cargo.toml", good).is_empty());
    let bad = "[package]\nname = \"x\"\n[lints.rust]\nunsafe_code = \"allow\"\n";
    assert_eq!(dependencies::check_lints(&rules, "x", "crates/x/Cargo.toml", bad).len(), 1);
    let more = "\n[[own-lints]]\ncrate = \"x\"\nwhy = \"calls C\"\n";
    let rules = Rules::parse(&format!("{RULES}{more}")).unwrap();
    assert!(dependencies::check_lints(&rules, "x", "crates/x/Cargo.toml", bad).is_empty());
}

#[test]
fn long_files_fail_longish_ones_are_noted_and_a_ratchet_only_shrinks() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("crates/a");
    std::fs::create_dir_all(folder.join("node_modules")).unwrap();
    for (name, lines) in [("short.rs", 3), ("longish.rs", 5), ("long.rs", 6), ("old.rs", 9), ("page.md", 90)] {
        std::fs::write(folder.join(name), "x\n".repeat(lines)).unwrap();
    }
    std::fs::write(folder.join("node_modules/long.rs"), "x\n".repeat(50)).unwrap();
    let measure = |ratchet: &str| {
        let rules = Rules::parse(&format!("{RULES}\n[files.ratchet]\n{ratchet}")).unwrap();
        let found = lengths::check(&rules.files, dir.path()).unwrap();
        (found.findings.iter().map(ToString::to_string).collect::<Vec<_>>(), found.notes, found.files)
    };
    let (findings, notes, files) = measure("'crates/a/old.rs' = 9");
    assert_eq!(files, 4);
    assert_eq!(findings, ["crates/a/long.rs: 6 lines; the limit is 5: split it by what its parts do"]);
    assert_eq!(notes, ["crates/a/longish.rs has 5 lines; aim for under 3"]);

    let (findings, _, _) =
        measure("'crates/a/old.rs' = 8\n'crates/a/short.rs' = 9\n'crates/a/gone.rs' = 9\n'crates/a/long.rs' = 6");
    assert_eq!(
        findings,
        [
            "crates/a/old.rs: 9 lines; it had 8 and may only shrink",
            "layers.toml: `crates/a/short.rs` has 3 lines now: take it off the ratchet",
            "layers.toml: `crates/a/gone.rs` in the ratchet is not there any more",
        ]
    );
}
