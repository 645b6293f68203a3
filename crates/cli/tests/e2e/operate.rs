//! What an operator does: configuration, doctor, backup, restore, stop, TLS, upgrade.

use crate::harness::{Server, mainspring, text};
use serde_json::{Value, json};

#[tokio::test]
async fn a_backup_taken_while_running_restores_into_an_empty_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (data, saved, fresh) = (dir.path().join("data"), dir.path().join("saved"), dir.path().join("fresh"));
    let server = Server::on(&data, &[]).await;
    let run = server.mlflow("runs/create", json!({"experiment_id": "0"})).await["run"]["info"]["run_id"].clone();
    let artifact = format!("/api/2.0/mlflow-artifacts/artifacts/0/{}/artifacts/a.txt", run.as_str().unwrap());
    let put = server.request("PUT", &artifact).body("kept").send().await.unwrap();
    assert!(put.status().is_success());

    let backup = mainspring().arg("backup").arg(&saved).arg("--data").arg(&data).output().unwrap();
    assert!(backup.status.success(), "{}", text(&backup.stderr));
    let again = mainspring().arg("backup").arg(&saved).arg("--data").arg(&data).output().unwrap();
    assert!(!again.status.success(), "a backup must not overwrite another");
    let onto = mainspring().arg("restore").arg(&saved).arg("--data").arg(&data).output().unwrap();
    assert!(!onto.status.success(), "a restore must not overwrite data");
    let restore = mainspring().arg("restore").arg(&saved).arg("--data").arg(&fresh).output().unwrap();
    assert!(restore.status.success(), "{}", text(&restore.stderr));

    let restored = Server::on(&fresh, &[]).await;
    let (status, body) = restored.get(&format!("/api/2.0/mlflow/runs/get?run_id={}", run.as_str().unwrap())).await;
    assert_eq!(status, 200, "{body}");
    let kept = restored.request("GET", &artifact).send().await.unwrap().text().await.unwrap();
    assert_eq!(kept, "kept");
}

#[tokio::test]
async fn one_data_folder_serves_one_process_and_a_stop_is_clean() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::on(&data, &[]).await;
    let second = mainspring().args(["up", "--port", "0", "--data"]).arg(&data).output().unwrap();
    assert!(!second.status.success());
    assert!(text(&second.stderr).contains("in use"), "{}", text(&second.stderr));
    assert!(server.stop().success());
    let _again = Server::on(&data, &[]).await;
}

#[test]
fn config_shows_each_value_and_its_origin() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mainspring.toml"), "port = 9000\n[log]\nlevel = \"warn\"\n").unwrap();
    let out = mainspring()
        .current_dir(dir.path())
        .env("MAINSPRING_LOG_LEVEL", "debug")
        .args(["config", "--port", "9001", "-o", "json"])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let rows: Value = serde_json::from_slice(&out.stdout).unwrap();
    let find = |name: &str| rows.as_array().unwrap().iter().find(|r| r["setting"] == name).unwrap().clone();
    assert_eq!((&find("port")["value"], &find("port")["origin"]), (&json!("9001"), &json!("flag --port")));
    assert_eq!(find("log.level")["origin"], "environment MAINSPRING_LOG_LEVEL");
    assert_eq!(find("data")["origin"], "default");

    std::fs::write(dir.path().join("mainspring.toml"), "prot = 9000\n").unwrap();
    let wrong = mainspring().current_dir(dir.path()).arg("config").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("did you mean \"port\""), "{}", text(&wrong.stderr));
}

#[test]
fn doctor_names_what_is_missing_and_how_to_mend_it() {
    let dir = tempfile::tempdir().unwrap();
    let out = mainspring()
        .current_dir(dir.path())
        .env("ORT_DYLIB_PATH", dir.path().join("nothing.so"))
        .args(["doctor", "--port", "0", "-o", "json"])
        .output()
        .unwrap();
    let checks: Value = serde_json::from_slice(&out.stdout).unwrap();
    let onnx = checks.as_array().unwrap().iter().find(|c| c["what"] == "ONNX Runtime").unwrap();
    assert_eq!(onnx["state"], "warn");
    assert!(onnx["mend"].as_str().unwrap().contains("pip install onnxruntime"), "{onnx}");
}

#[tokio::test]
async fn tls_speaks_on_the_same_port() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::on(&data, &["--tls-self-signed"]).await;
    let url = server.base.replace("http://", "https://");
    crate::harness::install_crypto();
    let http = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build().unwrap();
    let response = http.get(format!("{url}/livez")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, reqwest::Version::HTTP_2));
    // A command that was given the other scheme says so.
    let said = text(&server.cli(&["get", "deployment"]).stderr);
    assert!(said.contains("may speak TLS") && said.contains(&format!("--server {url}")), "{said}");
    let plain = Server::start().await;
    let asked = plain.base.replace("http://", "https://");
    let out = mainspring().args(["get", "deployment", "--server", &asked]).output().unwrap();
    let said = text(&out.stderr);
    assert!(said.contains("does not speak TLS") && said.contains(&format!("--server {}", plain.base)), "{said}");
}

#[tokio::test]
async fn apply_says_what_it_did_before_a_file_that_is_refused() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (dir.path().join("good.yaml"), dir.path().join("bad.yaml"));
    let channel = "apiVersion: mainspring/v1\nkind: Deployment\nname: early\nmodel: models:/none/1\n";
    std::fs::write(&good, channel).unwrap();
    std::fs::write(&bad, channel.replace("model:", "modle:")).unwrap();
    let files = ["-f", good.to_str().unwrap(), "-f", bad.to_str().unwrap()];
    let out = server.cli(&[&["apply"][..], &files].concat());
    assert!(!out.status.success());
    assert!(text(&out.stdout).contains("deployment/early created (generation 1)"), "{}", text(&out.stdout));
    let out = server.cli(&[&["apply", "-o", "json"][..], &files].concat());
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((out.status.success(), &told["applied"][0]["name"]), (false, &serde_json::json!("early")));
    // One that is not there is found before anything is applied.
    server.cli_ok(&["delete", "deployment", "early"]);
    let files = ["-f", good.to_str().unwrap(), "-f", "none.yaml"];
    let out = server.cli(&[&["apply"][..], &files].concat());
    assert!(text(&out.stderr).contains("none.yaml") && out.stdout.is_empty(), "{}", text(&out.stdout));
}

#[test]
fn a_client_command_without_a_server_says_so() {
    let out = mainspring().args(["get", "deployment", "--server", "http://127.0.0.1:9"]).output().unwrap();
    assert_eq!(out.status.code(), Some(3));
    assert!(text(&out.stderr).contains("mainspring up"), "{}", text(&out.stderr));
}
