//! Building one environment, with uv where it is installed and with venv and pip where not.

use crate::supervise::{PIP_INSTALL, Supervised, installer_sees};
use mainspring_engine::{EngineError, Watch};
use std::path::Path;
use std::process::Command;

/// Characters of a line that are shown as progress.
const SHOWN: usize = 120;

/// One environment to build.
pub(super) struct Build<'a> {
    /// The model's folder, which requirements may name files of.
    pub root: &'a Path,
    pub requirements: &'a str,
    /// The interpreter; with uv it may be a version.
    pub python: &'a Path,
    pub uv: Option<&'a Path>,
    /// Where to.
    pub part: &'a Path,
}

impl Build<'_> {
    /// Builds it.
    ///
    /// # Errors
    /// [`EngineError::Load`] with the requirement at fault and the installer's last lines;
    /// [`EngineError::GivenUp`].
    pub fn run(&self, watch: &Watch) -> Result<(), EngineError> {
        if self.part.exists() {
            std::fs::remove_dir_all(self.part).map_err(|e| failed(format!("{}: {e}", self.part.display())))?;
        }
        let (make, fill) = match self.uv {
            Some(uv) => (self.with_uv(uv), self.filled_by_uv(uv)),
            None => (self.with_venv(), self.filled_by_pip()),
        };
        watch.say("building the model's Python environment");
        self.step(make, watch)?;
        self.step(fill, watch)
    }

    fn with_venv(&self) -> Command {
        let mut command = Command::new(self.python);
        command.args(["-I", "-m", "venv"]).arg(self.part);
        command
    }

    fn filled_by_pip(&self) -> Command {
        let mut command = Command::new(self.part.join("bin/python"));
        command.args(PIP_INSTALL);
        command.args(["-r", "requirements.txt"]);
        command
    }

    fn with_uv(&self, uv: &Path) -> Command {
        let mut command = Command::new(uv);
        command.args(["venv", "--relocatable", "--python"]).arg(self.python).arg(self.part);
        command
    }

    fn filled_by_uv(&self, uv: &Path) -> Command {
        let mut command = Command::new(uv);
        command.args(["pip", "install", "--compile-bytecode", "--python"]).arg(self.part.join("bin/python"));
        command.args(["-r", "requirements.txt"]);
        command
    }

    /// Runs one command, each of its lines as progress.
    fn step(&self, mut command: Command, watch: &Watch) -> Result<(), EngineError> {
        command.current_dir(self.root);
        installer_sees(&mut command);
        let line = |line: &str| {
            tracing::info!(target: "mainspring_model", "{line}");
            // Some lines list every package there is.
            let short: String = line.chars().take(SHOWN).collect();
            watch.say(&format!("building the model's Python environment: {short}"));
        };
        let outcome = Supervised { command, watch, line: &line }.run()?;
        if outcome.success { Ok(()) } else { Err(failed(reason(&outcome.last, self.requirements))) }
    }
}

fn failed(reason: String) -> EngineError {
    EngineError::Load { path: String::new(), reason }
}

/// Why an installation failed: the requirement that the installer names, and its last lines.
pub(super) fn reason(lines: &[String], requirements: &str) -> String {
    let names = requirements.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with(['#', '-']));
    let mut at_fault: Vec<&str> = names
        .filter(|wanted| {
            let name = wanted.split(['=', '<', '>', '!', '~', '[', ';', ' ', '@']).next().unwrap_or(wanted);
            // A word of its own in a line that tells of an error.
            lines.iter().any(|l| {
                let tells = ["error", "no matching", "could not", "was not found", "no solution", "because", "failed"];
                let lower = l.to_lowercase();
                tells.iter().any(|t| lower.contains(t))
                    && l.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))).any(|w| w == name)
            })
        })
        .collect();
    at_fault.dedup();
    let whose = match at_fault.as_slice() {
        [] => "its requirements cannot be installed".to_owned(),
        some => format!("its requirement {} cannot be installed", some.join(", ")),
    };
    format!("{whose}; the installer's last lines: {}", lines.join(" | "))
}
