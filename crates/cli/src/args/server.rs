//! Flags of settings, made from the server's one table of them.

use clap::{ArgMatches, Args, Command, FromArgMatches};
use mainspring_server::config::{KEYS, Key, Kind};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Settings of the server, given as flags.
#[derive(Debug, Clone, Default)]
pub struct ServerArgs {
    /// Texts by setting name.
    pub flags: BTreeMap<String, String>,
    /// The file to read; `mainspring.toml` when it exists.
    pub config: Option<PathBuf>,
}

fn placeholder(key: &Key) -> &'static str {
    match key.kind {
        Kind::Text => "TEXT",
        Kind::Path => "PATH",
        Kind::Count => "N",
        Kind::Switch => "BOOL",
        Kind::Duration => "DURATION",
        Kind::Bytes => "SIZE",
        Kind::List => "A,B",
        Kind::OneOf(_) => "WORD",
    }
}

fn flag(key: &'static Key) -> clap::Arg {
    let mut help = key.help.to_owned();
    if let Kind::OneOf(words) = key.kind {
        help = format!("{help} ({})", words.join(", "));
    }
    if !key.default.is_empty() {
        help = format!("{help} [default: {}]", key.default);
    }
    let arg =
        clap::Arg::new(key.name).long(key.flag()).value_name(placeholder(key)).help(help).help_heading("Settings");
    // A switch may stand alone: `--tls-self-signed`.
    if key.kind == Kind::Switch { arg.num_args(0..=1).default_missing_value("true") } else { arg }
}

impl Args for ServerArgs {
    fn augment_args(cmd: Command) -> Command {
        let config = clap::Arg::new("config")
            .long("config")
            .env("MAINSPRING_CONFIG")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Settings file; ./mainspring.toml when it exists");
        KEYS.iter().fold(cmd.arg(config), |cmd, key| cmd.arg(flag(key)))
    }

    fn augment_args_for_update(cmd: Command) -> Command {
        Self::augment_args(cmd)
    }
}

impl FromArgMatches for ServerArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for key in KEYS {
            if let Some(text) = matches.get_one::<String>(key.name) {
                self.flags.insert(key.name.to_owned(), text.clone());
            }
        }
        self.config = matches.get_one::<PathBuf>("config").cloned();
        Ok(())
    }
}
