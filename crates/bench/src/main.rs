//! What `bench/run.py` measures with.
//!
//! - `mainspring-bench floor ANSWER PORT_FILE`: the least that a server on our own HTTP stack can do.
//!   It reads each body and answers the bytes of the file ANSWER; `/echo` answers the body itself, and
//!   the gRPC method `ModelInfer` a fixed message. It ends at SIGTERM.
//! - `mainspring-bench tonic PORT_FILE`: the same gRPC method on tonic's own server, as its makers set it up.
//! - `mainspring-bench grpc URL MODEL COLUMNS CONNECTIONS SECONDS`: calls `ModelInfer` with one row on
//!   each of CONNECTIONS connections, one call after the other, and prints one line of JSON.

mod floor;
mod load;

use std::io::Write;
use std::process::ExitCode;
use std::str::FromStr;

const USAGE: &str =
    "usage: mainspring-bench floor ANSWER PORT_FILE | tonic PORT_FILE | grpc URL MODEL COLUMNS CONNECTIONS SECONDS";

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error("{USAGE}")]
    Usage,
    #[error("cannot read or write {path}: {source}")]
    File { path: String, source: std::io::Error },
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
    #[error("cannot connect or serve: {0}")]
    Tonic(#[from] tonic::transport::Error),
}

fn main() -> ExitCode {
    // The allocator as the server has it.
    mainspring_process::begin();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("mainspring-bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), BenchError> {
    match words {
        ["floor", answer, port_file] => shared()?.block_on(floor::serve(answer, port_file)),
        ["tonic", port_file] => shared()?.block_on(floor::tonic(port_file)),
        ["grpc", url, model, columns, connections, seconds] => {
            let plan = load::Plan {
                url: (*url).to_owned(),
                model: (*model).to_owned(),
                columns: number(columns)?,
                connections: number(connections)?,
                seconds: number(seconds)?,
            };
            // One thread, as wrk has for HTTP: the rest of the machine belongs to the server.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let result = runtime.block_on(load::run(&plan))?;
            say(&serde_json::json!(result).to_string());
            Ok(())
        }
        _ => Err(BenchError::Usage),
    }
}

/// As the server itself runs: one worker a core.
fn shared() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

fn number<T: FromStr>(text: &str) -> Result<T, BenchError> {
    text.parse().map_err(|_| BenchError::Usage)
}

fn say(text: &str) {
    // Nobody reads a closed pipe.
    let _closed = writeln!(std::io::stdout(), "{text}");
}
