//! A running `mainspring up`, and a client to call it with.

use mainspring_testkit::PATIENCE;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

pub const BIN: &str = env!("CARGO_BIN_EXE_mainspring");

/// `mainspring` with an environment that holds no settings of the machine's own.
pub fn mainspring() -> Command {
    let mut command = Command::new(BIN);
    for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("MAINSPRING_")) {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1").env("ORT_DYLIB_PATH", onnx_runtime());
    command
}

/// The library in the repository's `.venv`, which `make setup` makes.
fn onnx_runtime() -> PathBuf {
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH") {
        return path.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let libs = root.join(".venv/lib");
    let found = std::fs::read_dir(&libs).into_iter().flatten().flatten().find_map(|python| {
        let capi = python.path().join("site-packages/onnxruntime/capi");
        std::fs::read_dir(capi)
            .ok()?
            .flatten()
            .map(|f| f.path())
            .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("libonnxruntime.so.")))
    });
    found.unwrap_or_else(|| panic!("no ONNX Runtime under {}: run `make setup`", libs.display()))
}

/// A folder with the model files that the engine's tests use.
pub fn fixture(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine-onnx/tests-data").join(name);
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

pub struct Server {
    child: Option<Child>,
    pub base: String,
    pub data: PathBuf,
    key: Option<String>,
    http: reqwest::Client,
    #[allow(dead_code, reason = "the folder goes when the server does")]
    keep: Option<tempfile::TempDir>,
}

impl Server {
    /// A server on a fresh data folder.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Self::on(&dir.path().join("data"), &[]).await;
        server.keep = Some(dir);
        server
    }

    /// A server on a fresh data folder that serves `file` as the deployment `echo`.
    pub async fn serving(file: &str) -> Self {
        let server = Self::start().await;
        server.deploy("echo", file).await;
        server
    }

    /// A server on `data`, with further flags.
    pub async fn on(data: &Path, flags: &[&str]) -> Self {
        Self::with(data, flags, &[]).await
    }

    /// The same, with further variables in its environment.
    pub async fn with(data: &Path, flags: &[&str], env: &[(String, String)]) -> Self {
        let port_file = data.with_extension("port");
        let _old = std::fs::remove_file(&port_file);
        let log = std::fs::File::options().create(true).append(true).open(data.with_extension("log")).unwrap();
        let mut child = mainspring()
            .args(["up", "--port", "0", "--port-file"])
            .arg(&port_file)
            .arg("--data")
            .arg(data)
            .args(flags)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let port = wait_for("the port file", || {
            assert!(child.try_wait().unwrap().is_none(), "the server ended:\n{}", read_log(data));
            std::fs::read_to_string(&port_file).ok()?.trim().parse::<u16>().ok()
        })
        .await;
        let http = client();
        Self {
            child: Some(child),
            base: format!("http://127.0.0.1:{port}"),
            data: data.to_owned(),
            key: None,
            http,
            keep: None,
        }
    }

    pub fn with_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request("GET", path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        answer(self.request("POST", path).json(body)).await
    }

    /// POST to MLflow's API; anything but 200 fails the test.
    pub async fn mlflow(&self, path: &str, body: Value) -> Value {
        let (status, value) = self.post(&format!("/api/2.0/mlflow/{path}"), &body).await;
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    /// `mainspring ARGS --server THIS`.
    pub fn cli(&self, args: &[&str]) -> Output {
        let mut command = mainspring();
        command.args(args).args(["--server", &self.base]);
        if let Some(key) = &self.key {
            command.args(["--api-key", key]);
        }
        command.output().unwrap()
    }

    /// The same, which must succeed; its standard output.
    pub fn cli_ok(&self, args: &[&str]) -> String {
        let out = self.cli(args);
        assert!(out.status.success(), "{args:?}: {}{}", text(&out.stdout), text(&out.stderr));
        text(&out.stdout)
    }

    /// kill -9, and gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGTERM, then its exit status.
    pub fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.wait()
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }

    pub fn log(&self) -> String {
        read_log(&self.data)
    }

    /// Registers `file` as the next version of `model` through MLflow's API, as a bare `.onnx` in a
    /// run's artifacts, and moves `champion` to it. Returns the version.
    pub async fn register(&self, model: &str, file: &Path) -> String {
        let run = self.mlflow("runs/create", json!({"experiment_id": "0"})).await["run"]["info"].clone();
        let (run_id, uri) = (run["run_id"].as_str().unwrap(), run["artifact_uri"].as_str().unwrap());
        let path = uri.trim_start_matches("mlflow-artifacts:/").trim_start_matches('/');
        let put = self
            .request("PUT", &format!("/api/2.0/mlflow-artifacts/artifacts/{path}/model/model.onnx"))
            .body(std::fs::read(file).unwrap());
        let (status, value) = answer(put).await;
        assert_eq!(status, 200, "{value}");
        let (_, _) = self.post("/api/2.0/mlflow/registered-models/create", &json!({"name": model})).await;
        let made = self
            .mlflow("model-versions/create", json!({"name": model, "source": format!("{uri}/model"), "run_id": run_id}))
            .await;
        let version = made["model_version"]["version"].as_str().unwrap().to_owned();
        self.mlflow("registered-models/alias", json!({"name": model, "alias": "champion", "version": version})).await;
        version
    }

    /// Registers `file` under `name` and deploys its champion.
    pub async fn deploy(&self, name: &str, file: &str) {
        self.register(name, &fixture(file)).await;
        let applied = self.apply(&format!(
            "apiVersion: mainspring/v1\nkind: Deployment\nname: {name}\nmodel: models:/{name}@champion\n"
        ));
        assert!(applied.status.success(), "{}{}", text(&applied.stdout), text(&applied.stderr));
    }

    /// Resident memory, MiB.
    pub fn resident(&self) -> u64 {
        let id = self.child.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() / 1024
    }

    /// Sends SIGTERM and goes on.
    pub fn terminate(&self) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
    }

    /// Applies a document and waits until its deployment answers.
    pub fn apply(&self, yaml: &str) -> Output {
        let file = self.data.with_extension("yaml");
        std::fs::write(&file, yaml).unwrap();
        self.cli(&["apply", "-f", file.to_str().unwrap()])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn client() -> reqwest::Client {
    install_crypto();
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

/// reqwest takes the process's provider, which the guarded client installs.
pub fn install_crypto() {
    let _installs = mainspring_http::Client::new(&mainspring_http::ClientSettings::default()).unwrap();
}

pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    let value = serde_json::from_slice(&body).unwrap_or_else(|_| Value::String(text(&body)));
    (status, value)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read_log(data: &Path) -> String {
    std::fs::read_to_string(data.with_extension("log")).unwrap_or_default()
}

/// Asks until it is so; fails after [`PATIENCE`].
pub async fn wait_until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Looks until `found` finds it; fails after [`PATIENCE`].
pub async fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
