//! Names of commands, flags and settings, as the binary itself tells them.

use super::markdown::Page;
use crate::report::{Finding, Trouble};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// What `mainspring` understands.
#[derive(Debug, Default)]
pub struct Cli {
    /// By the words of the command; the empty list is `mainspring` itself.
    pages: BTreeMap<Vec<String>, Help>,
    /// Settings as `mainspring config` lists them.
    pub settings: Vec<Setting>,
    environment: BTreeSet<String>,
}

/// One `--help`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Help {
    /// Commands below.
    pub commands: BTreeSet<String>,
    /// Long flags, and whether they take a value.
    pub flags: BTreeMap<String, bool>,
    /// Environment variables that it names.
    pub environment: BTreeSet<String>,
}

/// One setting of the server.
#[derive(Debug, Clone, Deserialize)]
pub struct Setting {
    /// Name in the file.
    #[serde(rename = "setting")]
    pub name: String,
    /// Its value where nothing sets it.
    pub value: String,
    /// Environment variable.
    pub env: String,
    /// What it is.
    pub help: String,
}

/// Variables that scripts of the repository read, not the binary.
const OF_SCRIPTS: &[&str] = &["MAINSPRING_BIN"];

impl Cli {
    /// Asks a binary for all its help pages and settings.
    ///
    /// # Errors
    /// [`Trouble::Command`] when it does not answer.
    pub fn ask(binary: &Path) -> Result<Self, Trouble> {
        let mut pages = BTreeMap::new();
        let mut open = vec![Vec::new()];
        while let Some(words) = open.pop() {
            let mut args = words.clone();
            args.push("--help".to_owned());
            let help = Help::parse(&output(binary, &args)?);
            for command in help.commands.iter().filter(|c| *c != "help") {
                let mut below = words.clone();
                below.push(command.clone());
                open.push(below);
            }
            pages.insert(words, help);
        }
        let text = output(binary, &["config", "--output", "json"].map(str::to_owned))?;
        let settings = serde_json::from_str(&text)
            .map_err(|e| Trouble::Parse { what: "`mainspring config --output json`".to_owned(), why: e.to_string() })?;
        Ok(Self::new(pages, settings))
    }

    /// From what was asked.
    pub fn new(pages: BTreeMap<Vec<String>, Help>, settings: Vec<Setting>) -> Self {
        let mut environment: BTreeSet<String> = OF_SCRIPTS.iter().map(|&s| s.to_owned()).collect();
        environment.extend(pages.values().flat_map(|help| help.environment.iter().cloned()));
        environment.extend(settings.iter().map(|s| s.env.clone()));
        Self { pages, settings, environment }
    }

    /// What a page names that the binary does not know.
    pub fn check(&self, file: &str, page: &Page) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (line, text) in page.commands() {
            for simple in simple_commands(&text) {
                findings.extend(self.command(&simple).err().map(|what| Finding::line(file, line, what)));
            }
        }
        let texts =
            page.spans.iter().map(|(line, text)| (*line, text)).chain(page.blocks.iter().map(|b| (b.line, &b.text)));
        for (line, text) in texts {
            for name in variables(text).filter(|name| !self.environment.contains(name)) {
                findings.push(Finding::line(file, line, format!("`{name}` is no setting; see `mainspring config`")));
            }
        }
        findings
    }

    /// Follows one command line; nothing to say when it calls something else.
    fn command(&self, text: &str) -> Result<(), String> {
        let all = words(text);
        let mut rest = all.iter().skip_while(|w| w.contains('=') && !w.starts_with('-'));
        if rest.next().map(String::as_str) != Some("mainspring") {
            return Ok(());
        }
        let mut at: Vec<String> = Vec::new();
        let empty = Help::default();
        let mut is_value = false;
        for word in rest {
            let help = self.pages.get(&at).unwrap_or(&empty);
            if std::mem::take(&mut is_value) || word.contains(['…', '<', '[']) {
                continue;
            }
            if let Some(flag) = word.strip_prefix("--").filter(|f| !f.is_empty()) {
                let (name, given) = flag.split_once('=').map_or((flag, false), |(n, _)| (n, true));
                let takes = help
                    .flags
                    .get(name)
                    .ok_or_else(|| format!("`mainspring {}` has no flag `--{name}`", at.join(" ")))?;
                is_value = *takes && !given;
            } else if !word.starts_with('-') && !help.commands.is_empty() {
                if !help.commands.contains(word) {
                    let shown = format!("mainspring {}", at.join(" "));
                    return Err(format!("`{}` has no command `{word}`", shown.trim_end()));
                }
                at.push(word.clone());
            }
        }
        Ok(())
    }
}

impl Help {
    /// Reads a page as clap prints it.
    pub fn parse(text: &str) -> Self {
        let mut help = Self::default();
        let mut in_commands = false;
        for line in text.lines() {
            if !line.starts_with(' ') && !line.is_empty() {
                in_commands = line == "Commands:";
            }
            let trimmed = line.trim_start();
            let name = trimmed.split(' ').next().unwrap_or_default();
            if in_commands && line.len() - trimmed.len() == 2 && !name.is_empty() {
                help.commands.insert(name.to_owned());
            }
            if trimmed.starts_with('-') {
                help.flag(trimmed);
            }
            help.environment.extend(variables(line));
        }
        help
    }

    /// `-f, --file <FILE>  Help text`
    fn flag(&mut self, line: &str) {
        let Some((_, from)) = line.split_once("--") else { return };
        let name: String = from.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        let after = from.get(name.len()..).unwrap_or_default();
        let takes = after.starts_with(" <") || after.starts_with("=<");
        self.flags.insert(name, takes);
    }
}

/// Names of the form `MAINSPRING_…` in a text.
fn variables(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        .filter(|word| word.len() > "MAINSPRING_".len() && word.starts_with("MAINSPRING_"))
        .map(str::to_owned)
}

/// The single commands of a shell line, without prompt and comment.
pub fn simple_commands(line: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut quote = None;
    let line = line.trim();
    for c in line.strip_prefix("$ ").unwrap_or(line).chars() {
        let open = all.last().is_none_or(|l| l.is_empty() || l.ends_with(' '));
        match c {
            '\'' | '"' if quote.is_none() => quote = Some(c),
            c if quote == Some(c) => quote = None,
            '#' if quote.is_none() && open => break,
            '|' | ';' | '&' | '(' | ')' if quote.is_none() => {
                all.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = all.last_mut() {
            last.push(c);
        }
    }
    all.into_iter().map(|c| c.trim().to_owned()).filter(|c| !c.is_empty()).collect()
}

/// Words of a simple command; a quoted text is one word.
pub fn words(command: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in command.chars() {
        match c {
            '\'' | '"' if quote.is_none() => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            c if quote == Some(c) => quote = None,
            c if c.is_whitespace() && quote.is_none() => all.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    all
}

fn output(binary: &Path, args: &[String]) -> Result<String, Trouble> {
    let command = format!("{} {}", binary.display(), args.join(" "));
    let trouble = |why: String| Trouble::Command { command: command.clone(), why };
    let mut process = Command::new(binary);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MAINSPRING_")) {
        process.env_remove(name);
    }
    // A folder without a settings file, and lines that are not wrapped.
    let out = process
        .args(args)
        .current_dir(std::env::temp_dir())
        .env("COLUMNS", "400")
        .env("NO_COLOR", "1")
        .output()
        .map_err(|e| trouble(e.to_string()))?;
    if !out.status.success() {
        return Err(trouble(String::from_utf8_lossy(&out.stderr).trim().to_owned()));
    }
    String::from_utf8(out.stdout).map_err(|e| trouble(e.to_string()))
}
