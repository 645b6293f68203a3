use super::cli::{Cli, Help, Setting, simple_commands, words};
use super::markdown::Page;
use super::{declarations, run, settings};
use std::collections::BTreeMap;
use std::path::Path;

const TOP: &str = "\
Usage: mainspring [OPTIONS] <COMMAND>

Commands:
  up     Start the server
  apply  Create or change what the files declare
  key    Create, list, rotate and revoke API keys

Options:
      --server <URL>  Address of the server [env: MAINSPRING_SERVER=]
  -h, --help          Print help
";
const APPLY: &str =
    "Options:\n  -f, --file <FILE>   YAML\n      --no-wait       Return at once\n      --server <URL>  Address\n";
const KEY: &str = "Commands:\n  create  Make a key\n  list    List keys\n\nOptions:\n  -h, --help  Print help\n";
const CREATE: &str = "Options:\n      --role <ROLE>  What it may do\n";

fn cli() -> Cli {
    let page = |words: &[&str], text: &str| (words.iter().map(|&w| w.to_owned()).collect(), Help::parse(text));
    let pages = BTreeMap::from([
        page(&[], TOP),
        page(&["up"], ""),
        page(&["apply"], APPLY),
        page(&["key"], KEY),
        page(&["key", "create"], CREATE),
    ]);
    Cli::new(pages, vec![port()])
}

fn port() -> Setting {
    Setting {
        name: "port".to_owned(),
        value: "8080".to_owned(),
        env: "MAINSPRING_PORT".to_owned(),
        help: "port to listen on | 0".to_owned(),
    }
}

fn said(markdown: &str) -> Vec<String> {
    cli().check("p.md", &Page::parse(markdown)).iter().map(ToString::to_string).collect()
}

#[test]
fn help_pages_are_read_as_clap_prints_them() {
    let help = Help::parse(TOP);
    assert_eq!(help.commands.iter().map(String::as_str).collect::<Vec<_>>(), ["apply", "key", "up"]);
    assert_eq!(help.flags, BTreeMap::from([("help".to_owned(), false), ("server".to_owned(), true)]));
    assert!(help.environment.contains("MAINSPRING_SERVER"));
    assert_eq!(Help::parse(APPLY).flags.get("no-wait"), Some(&false));
}

#[test]
fn commands_and_flags_that_exist_pass() {
    let page = "Run `mainspring up`, `mainspring --server http://h apply -f x.yaml --no-wait` or `mainspring key …`.\n\n\
```sh\n$ MAINSPRING_PORT=1 mainspring key create --role read label # makes `mainspring nothing`\n\
mainspring apply \\\n  --file='a b' | grep mainspring && echo 'mainspring nonsense'\n```\n";
    assert_eq!(said(page), Vec::<String>::new());
}

#[test]
fn commands_flags_and_settings_that_do_not_exist_are_named() {
    assert_eq!(said("x\n\n`mainspring deploy -f x`"), ["p.md:3: `mainspring` has no command `deploy`"]);
    assert_eq!(said("`mainspring key drop`"), ["p.md:1: `mainspring key` has no command `drop`"]);
    assert_eq!(
        said("```sh\nmainspring apply \\\n  -f x --wait\n```"),
        ["p.md:2: `mainspring apply` has no flag `--wait`"]
    );
    assert_eq!(said("`MAINSPRING_PROT=1`"), ["p.md:1: `MAINSPRING_PROT` is no setting; see `mainspring config`"]);
}

#[test]
fn shell_lines_are_split_outside_quotes() {
    assert_eq!(simple_commands("$ a 'b | c' | d && e # f"), ["a 'b | c'", "d", "e"]);
    assert_eq!(words("a 'b c' --d=\"e f\""), ["a", "b c", "--d=e f"]);
}

#[test]
fn the_table_of_settings_must_be_the_binarys() {
    let page = |table: &str| {
        format!(
            "# Settings\n\n<!-- settings: made by `tools/settings-table`; do not edit -->\n{table}\n<!-- end of settings -->\n"
        )
    };
    assert!(settings::compare(&page(&settings::table(&[port()])), &[port()]).is_empty());
    assert_eq!(settings::compare(&page("| old |"), &[port()]).len(), 1);
    assert_eq!(settings::compare("# Settings", &[port()]).len(), 1);
    assert!(settings::table(&[port()]).contains("listen on \\| 0"));
}

#[test]
fn declarations_must_be_whole() {
    let check = |yaml: &str| declarations("p.md", &Page::parse(&format!("```yaml\n{yaml}\n```\n"))).len();
    let good = "apiVersion: mainspring/v1\nkind: Deployment\nname: churn";
    assert_eq!(check(good), 0);
    assert_eq!(check(&format!("{good}\n---\n{good}")), 0);
    assert_eq!(check("services:\n  kind: none"), 0);
    assert_eq!(check("kind: Deployment\nname: churn"), 1);
    assert_eq!(check("apiVersion: mainspring/v1\nkind: Deployment"), 1);
    assert_eq!(check("apiVersion: mainspring/v1\nkind: [Deployment\nname: churn"), 1);
}

/// A repository with one page.
fn repository(page: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("Makefile", ".PHONY: demo\nSHELL := bash\ndemo: setup ## runs\nsetup:\n");
    write("crates/core/src/lib.rs", "");
    write("docs/other.md", "# The other page: `mainspring up`\n");
    write("README.md", page);
    dir
}

fn checked(page: &str) -> Vec<String> {
    let dir = repository(page);
    run(dir.path(), None).unwrap().findings.iter().map(ToString::to_string).collect()
}

#[test]
fn names_that_exist_pass() {
    let page = "# A page\n[o](docs/other.md#the-other-page-mainspring-up) [here](#a-page) [w](https://example.org/x#y)\n\
`crates/core/src/lib.rs:12`, `crates/*/src`, `mainspring-core`, `mainspring-data`, `models:/a/b`, `make demo ONCE=1`\n\
\n```sh\nmake setup && echo\n```\n";
    assert_eq!(checked(page), Vec::<String>::new());
}

#[test]
fn names_that_do_not_exist_are_named_with_their_line() {
    assert_eq!(
        checked("\n[o](docs/othr.md)"),
        ["README.md:2: the link `docs/othr.md` leads to docs/othr.md, which is not there"]
    );
    assert_eq!(checked("[o](docs/other.md#nope)"), ["README.md:1: docs/other.md has no heading `#nope`"]);
    assert_eq!(checked("`crates/cor/src`"), ["README.md:1: `crates/cor/src` is not there"]);
    assert_eq!(checked("`mainspring-cor`"), ["README.md:1: there is no crate `mainspring-cor`"]);
    assert_eq!(checked("```sh\n\nmake dmo\n```"), ["README.md:3: the Makefile has no target `dmo`"]);
}
