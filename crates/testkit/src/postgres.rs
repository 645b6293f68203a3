//! A private Postgres server for tests, from the distribution's own binaries.

use crate::PATIENCE;
use crate::child::{Guarded, free_port};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The command that mends a machine without Postgres.
const MEND: &str = "apt-get install -y postgresql, or set MAINSPRING_TEST_POSTGRES=postgres://user:password@host/db";

/// A running server of our own.
#[derive(Debug)]
pub struct PgServer {
    home: PathBuf,
    port: u16,
    shared: bool,
    process: Option<Guarded>,
}

impl PgServer {
    /// Makes a new, empty server on a free port of loopback. It keeps its data while this lives.
    ///
    /// # Panics
    /// When Postgres is not installed or does not start.
    pub fn start() -> Self {
        Self::make(false)
    }

    fn make(shared: bool) -> Self {
        let home = tempfile::Builder::new().prefix("mainspring-pg-").tempdir().expect("a temporary folder").keep();
        open_to_all(&home);
        if let Some(uid) = server_uid() {
            std::os::unix::fs::chown(&home, Some(uid), None).expect("the folder is given to the user postgres");
        }
        let data = home.join("data");
        let words = ["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D"];
        let mut command = as_server("initdb");
        command.extend(words.map(str::to_owned));
        command.push(data.display().to_string());
        let made = Command::new(&command[0]).args(&command[1..]).current_dir("/").output().expect("initdb runs");
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = Self { home, port: free_port(), shared, process: None };
        server.resume();
        server
    }

    /// Starts it again after [`PgServer::halt`], with the data it had.
    pub fn resume(&mut self) {
        let (data, log) = (self.home.join("data"), self.home.join("log"));
        let mut command = as_server("postgres");
        let port = self.port.to_string();
        let socket = self.home.display().to_string();
        command.extend(
            ["-D", &data.display().to_string(), "-p", &port, "-h", "127.0.0.1", "-k", &socket].map(String::from),
        );
        command.extend(["-c", "fsync=off", "-c", "max_connections=100", "-c", "shared_buffers=16MB"].map(String::from));
        // SIGQUIT is Postgres's "at once".
        let mut process = Guarded::start(&command, &log, "QUIT", self.shared.then_some(self.home.as_path()));
        let deadline = Instant::now() + PATIENCE;
        while !sql(&self.url("postgres"), "SELECT 1").status.success() {
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(process.is_running() && Instant::now() < deadline, "postgres did not start: {}", said());
            std::thread::sleep(Duration::from_millis(50));
        }
        self.process = Some(process);
    }

    /// Stops it at once, as a crash would.
    pub fn halt(&mut self) {
        self.process = None;
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Makes an empty database and returns its URL.
    pub fn database(&self) -> String {
        self.url(&create(&self.url("postgres")))
    }
}

impl Drop for PgServer {
    fn drop(&mut self) {
        self.halt();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// An empty database for one test.
#[derive(Debug)]
pub struct TestDatabase {
    /// Its URL.
    pub url: String,
    /// How to drop it: the URL of the server's own database, and its name. A private server is
    /// removed as a whole.
    foreign: Option<(String, String)>,
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Some((server, name)) = &self.foreign {
            sql(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

/// A new, empty database: on the server that `MAINSPRING_TEST_POSTGRES` names, where it is dropped
/// again, else on a private one that all tests of this process share and that ends with it.
///
/// # Panics
/// When there is no server and none can be started.
pub fn database() -> TestDatabase {
    static SHARED: OnceLock<PgServer> = OnceLock::new();
    if let Ok(server) = std::env::var("MAINSPRING_TEST_POSTGRES") {
        let name = create(&server);
        let (head, query) = server.split_once('?').map_or((server.as_str(), ""), |(h, q)| (h, q));
        let base = head.rsplit_once('/').map_or(head, |(base, _)| base);
        return TestDatabase { url: format!("{base}/{name}?{query}"), foreign: Some((server.clone(), name)) };
    }
    // A static is never dropped, so the watcher removes its folder.
    let url = SHARED.get_or_init(|| PgServer::make(true)).database();
    TestDatabase { url, foreign: None }
}

fn create(url: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("mainspring_test_{}_{number}", std::process::id());
    let made = sql(url, &format!("CREATE DATABASE {name}"));
    assert!(made.status.success(), "a test database was not made: {}", String::from_utf8_lossy(&made.stderr));
    name
}

/// Runs one statement with psql.
pub fn sql(url: &str, statement: &str) -> Output {
    let psql = binary("psql");
    Command::new(psql)
        .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", statement, url])
        .env("PGCONNECT_TIMEOUT", "30")
        .output()
        .expect("psql runs")
}

/// The newest installed binary with this name.
fn binary(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|e| Some((e.file_name().to_str()?.parse().ok()?, e.path().join("bin").join(name))))
        .filter(|(_, path)| path.is_file())
        .collect();
    found.sort();
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join(name)).find(|p| p.is_file())
    };
    let found = found.pop().map(|(_, path)| path).or_else(on_path);
    found.unwrap_or_else(|| panic!("{name} is not installed: {MEND}"))
}

/// The command that runs a server binary; root may not, so it becomes the user postgres.
fn as_server(name: &str) -> Vec<String> {
    let program = binary(name).display().to_string();
    match server_uid() {
        None => vec![program],
        Some(_) => {
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", &program].map(String::from).into()
        }
    }
}

/// The user that the server runs as, when this process is root.
fn server_uid() -> Option<u32> {
    let me = std::fs::metadata("/proc/self").map_or(1, |m| std::os::unix::fs::MetadataExt::uid(&m));
    if me != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = users.lines().find(|l| l.starts_with("postgres:"));
    let uid = line.and_then(|l| l.split(':').nth(2)?.parse().ok());
    Some(uid.unwrap_or_else(|| panic!("there is no user postgres: {MEND}")))
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("the folder's permissions");
}
