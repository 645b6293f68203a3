//! Programs of the server's own that work on a model with the model's packages: exporters, for example.
//!
//! Their packages go into an environment layered on the model's: it sees all that the model's holds, at exactly
//! those versions, and adds what is missing. Neither the model's environment nor the server's is changed.

use crate::runtime::PythonRuntime;
use crate::supervise::{Outcome, PIP_INSTALL, Supervised, installer_sees, worker_sees};
use mainspring_engine::{EngineError, Environment, Watch};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program that serves models, for tools that have to see a model as it does. As a module it starts
/// nothing.
pub const WORKER: &str = concat!(include_str!("values.py"), include_str!("worker.py"));

/// Prints where packages are, a line each, an empty line, and each package as a constraint.
const INVENTORY: &str = "\
import sys
from importlib.metadata import distributions
print(*[p for p in sys.path if p.endswith(('site-packages', 'dist-packages'))], sep='\\n')
print()
held = {}
for d in distributions():
    if d.metadata['Name'] and d.version:
        held.setdefault(d.metadata['Name'].lower(), d.version)
print(*['%s==%s' % pair for pair in sorted(held.items())], sep='\\n')
";

fn failed(reason: String) -> EngineError {
    EngineError::Load { path: "the tools' environment".into(), reason }
}

impl PythonRuntime {
    /// An interpreter with the packages of the model in `root` and `packages` beside them.
    ///
    /// # Errors
    /// [`EngineError::Load`] when one of the two environments cannot be built, with the installer's last
    /// lines; [`EngineError::Missing`]; [`EngineError::GivenUp`].
    pub fn tools(
        &self,
        root: &Path,
        environment: Environment,
        packages: &[&str],
        watch: &Watch,
    ) -> Result<PathBuf, EngineError> {
        let own = self.python();
        let base = match environment {
            Environment::Shared => own?.path,
            Environment::Own => self.environments().of(root, own, watch)?,
        };
        let inventory = Inventory::of(&base)?;
        let id = inventory.digest(&base, packages);
        self.environments().layer(&id, watch, |part| build(part, &base, &inventory, packages, watch))
    }

    /// Runs `program`, a file in `folder`, there; it sees no secret of the server's environment. A line that it
    /// writes behind `@ ` is told to `watch`, any other goes into the log.
    ///
    /// # Errors
    /// [`EngineError::Run`] with its last lines; [`EngineError::GivenUp`], and then it is gone.
    pub fn run_tool(&self, python: &Path, folder: &Path, program: &str, watch: &Watch) -> Result<(), EngineError> {
        let _held = self.environments().hold(python);
        let mut command = Command::new(python);
        command.args(["-I", "-B", "-u", program]).current_dir(folder);
        worker_sees(&mut command, folder);
        let line = |line: &str| match line.strip_prefix("@ ") {
            Some(step) => watch.say(step),
            None => tracing::info!(target: "mainspring_model", "{line}"),
        };
        match (Supervised { command, watch, line: &line }).run()? {
            Outcome { success: true, .. } => Ok(()),
            Outcome { how, last, .. } => Err(EngineError::Run {
                reason: format!("{program} {how}; its last lines: {}", last.join(" | ")),
                bad_input: false,
            }),
        }
    }
}

/// What an interpreter has.
struct Inventory {
    folders: Vec<String>,
    constraints: Vec<String>,
}

impl Inventory {
    fn of(python: &Path) -> Result<Self, EngineError> {
        let broken = |e: String| failed(format!("{} cannot say what it has: {e}", python.display()));
        let mut command = Command::new(python);
        command.args(["-I", "-c", INVENTORY]).stdin(Stdio::null());
        // Packages that a model asks for may run code of theirs as soon as Python starts.
        worker_sees(&mut command, &std::env::temp_dir());
        let out = command.output().map_err(|e| broken(e.to_string()))?;
        if !out.status.success() {
            return Err(broken(String::from_utf8_lossy(&out.stderr).lines().last().unwrap_or_default().to_owned()));
        }
        let text = String::from_utf8_lossy(&out.stdout);
        let (folders, constraints) = text.split_once("\n\n").unwrap_or((text.trim(), ""));
        let lines = |text: &str| text.lines().filter(|l| !l.is_empty()).map(str::to_owned).collect();
        Ok(Self { folders: lines(folders), constraints: lines(constraints) })
    }

    /// What the layer over it is called by.
    fn digest(&self, base: &Path, packages: &[&str]) -> String {
        let parts = self.constraints.iter().map(String::as_str).chain(packages.iter().copied());
        let text: Vec<&str> = parts.collect();
        crate::environment::digest(&text.join("\n"), &base.to_string_lossy())
    }
}

fn build(part: &Path, base: &Path, inventory: &Inventory, packages: &[&str], watch: &Watch) -> Result<(), EngineError> {
    let io = |e: std::io::Error| failed(format!("{}: {e}", part.display()));
    if part.exists() {
        std::fs::remove_dir_all(part).map_err(io)?;
    }
    watch.say("building the tools' environment beside the model's");
    let mut make = Command::new(base);
    make.args(["-I", "-m", "venv"]).arg(part);
    install(make, watch)?;
    let lib =
        std::fs::read_dir(part.join("lib")).map_err(io)?.filter_map(Result::ok).map(|e| e.path().join("site-packages"));
    let site = lib
        .into_iter()
        .find(|p| p.is_dir())
        .ok_or_else(|| failed(format!("{} has no site-packages", part.display())))?;
    // As a folder of packages, with the `.pth` files in it: a plain line would leave those out.
    let lines = inventory.folders.iter().map(|f| format!("import site; site.addsitedir({f:?})\n"));
    std::fs::write(site.join("mainspring-base.pth"), lines.collect::<String>()).map_err(io)?;
    std::fs::write(part.join("constraints.txt"), inventory.constraints.join("\n")).map_err(io)?;
    let mut fill = Command::new(part.join("bin/python"));
    fill.args(PIP_INSTALL).arg("-c");
    fill.arg(part.join("constraints.txt")).args(packages);
    install(fill, watch)
}

fn install(mut command: Command, watch: &Watch) -> Result<(), EngineError> {
    installer_sees(&mut command);
    let line = |line: &str| {
        tracing::info!(target: "mainspring_model", "{line}");
        // What is there already is most of it, and no news.
        if line.starts_with("Requirement already satisfied") {
            return;
        }
        let short: String = line.chars().take(120).collect();
        watch.say(&format!("building the tools' environment: {short}"));
    };
    match (Supervised { command, watch, line: &line }).run()? {
        Outcome { success: true, .. } => Ok(()),
        Outcome { last, .. } => Err(failed(format!(
            "the exporters cannot be installed beside the model's packages; the installer's last lines: {}",
            last.join(" | ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_asks_a_models_python_for_its_packages_sees_no_secret() {
        // What every test has in its environment stands for a secret.
        assert!(std::env::vars().any(|(name, _)| name.starts_with("CARGO")));
        let folder = tempfile::tempdir().unwrap();
        let python = folder.path().join("python");
        std::fs::write(&python, "#!/bin/sh\nenv\n").unwrap();
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        let seen = Inventory::of(&python).unwrap().folders;
        assert!(seen.iter().any(|l| l.starts_with("PATH=")), "{seen:?}");
        assert!(!seen.iter().any(|l| l.starts_with("CARGO")), "{seen:?}");
    }
}
