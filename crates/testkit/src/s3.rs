//! A private S3 server for tests: moto's.

use crate::PATIENCE;
use crate::child::{Guarded, free_port};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The command that mends a machine without moto.
const MEND: &str = "uv venv .venv && uv pip install --python .venv/bin/python 'moto[server]', \
    or set MAINSPRING_TEST_PYTHON to a python that has it, \
    or MAINSPRING_TEST_S3=http://127.0.0.1:PORT/BUCKET, a bucket of a running moto server";

/// A folder of a bucket for one test.
#[derive(Debug, Clone)]
pub struct S3Place {
    /// `s3://bucket/prefix`.
    pub url: String,
    /// Settings by the names of the `AWS_*` environment.
    pub options: Vec<(String, String)>,
    /// The server's address, `http://host:port`.
    pub endpoint: String,
}

struct Server {
    endpoint: String,
    bucket: String,
}

/// An empty folder: on the server that `MAINSPRING_TEST_S3` names, else on moto's, which all tests
/// of this process share and which ends with it.
///
/// # Panics
/// When there is no server and none can be started.
pub fn place() -> S3Place {
    static SHARED: OnceLock<Server> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = SHARED.get_or_init(server);
    let prefix = format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let or = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let options = vec![
        ("AWS_ENDPOINT_URL".to_owned(), server.endpoint.clone()),
        ("AWS_ACCESS_KEY_ID".to_owned(), or("AWS_ACCESS_KEY_ID", "test")),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), or("AWS_SECRET_ACCESS_KEY", "test")),
        ("AWS_REGION".to_owned(), or("AWS_REGION", "us-east-1")),
    ];
    S3Place { url: format!("s3://{}/{prefix}", server.bucket), options, endpoint: server.endpoint.clone() }
}

fn server() -> Server {
    if let Ok(url) = std::env::var("MAINSPRING_TEST_S3") {
        let (endpoint, bucket) =
            url.trim_end_matches('/').rsplit_once('/').expect("MAINSPRING_TEST_S3 ends in a bucket");
        return Server { endpoint: endpoint.to_owned(), bucket: bucket.to_owned() };
    }
    let python = python();
    let port = free_port();
    let log = std::env::temp_dir().join(format!("mainspring-moto-{port}.log"));
    let program = python.display().to_string();
    let command = [&program, "-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()].map(String::from);
    let mut process = Guarded::start(&command, &log, "KILL", Some(&log));
    let deadline = Instant::now() + PATIENCE;
    loop {
        if request(port, "PUT /mainspring HTTP/1.1").is_some_and(|r| r.starts_with("HTTP/1.1 200")) {
            break;
        }
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        assert!(
            process.is_running() && Instant::now() < deadline && !said().contains("No module named"),
            "moto did not start with {program}: {}\n{MEND}",
            said()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    // It ends with this process; a static is never dropped.
    std::mem::forget(process);
    Server { endpoint: format!("http://127.0.0.1:{port}"), bucket: "mainspring".to_owned() }
}

fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("MAINSPRING_TEST_PYTHON") {
        return python.into();
    }
    let python = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.venv/bin/python"));
    assert!(python.exists(), "there is no python with moto for the S3 tests: {MEND}");
    python
}

fn request(port: u16, line: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    // moto tells services apart by the credential's scope; it checks no signature.
    let auth = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let head = format!(
        "{line}\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {auth}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    Some(reply)
}
