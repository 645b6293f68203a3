use super::{KEYS, Layers, Origin, Settings};
use std::path::PathBuf;

fn layers(flags: &[(&str, &str)], env: &[(&str, &str)], file: Option<&str>) -> Layers {
    let own = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Layers { flags: own(flags), env: own(env), file: file.map(|t| (PathBuf::from("mainspring.toml"), t.to_owned())) }
}

fn origin_of(l: &Layers, name: &str) -> (String, Origin) {
    let r = l.resolve().unwrap();
    let (_, value, origin) = r.rows().into_iter().find(|(k, ..)| k.name == name).unwrap();
    (value, origin.clone())
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let file = Some("port = 1\n[journal]\nsync = \"always\"\n");
    let env = [("MAINSPRING_PORT", "2")];
    assert_eq!(origin_of(&layers(&[("port", "3")], &env, file), "port"), ("3".into(), Origin::Flag("port".into())));
    assert_eq!(origin_of(&layers(&[], &env, file), "port"), ("2".into(), Origin::Env("MAINSPRING_PORT".into())));
    assert_eq!(origin_of(&layers(&[], &[], file), "port"), ("1".into(), Origin::File("mainspring.toml".into())));
    assert_eq!(origin_of(&layers(&[], &[], None), "port"), ("8080".into(), Origin::Default));
    assert_eq!(origin_of(&layers(&[], &[], file), "journal.sync").0, "always");
}

#[test]
fn unknown_keys_name_the_nearest() {
    let e = layers(&[], &[], Some("prot = 1")).resolve().unwrap_err().to_string();
    assert!(e.contains("mainspring.toml") && e.contains("did you mean \"port\""), "{e}");
    let e = layers(&[], &[("MAINSPRING_DATABSE", "x")], None).resolve().unwrap_err().to_string();
    assert!(e.contains("MAINSPRING_DATABASE"), "{e}");
}

#[test]
fn values_are_checked_and_secrets_are_not_shown() {
    for (key, value) in
        [("port", "eighty"), ("journal.interval", "5 parsecs"), ("limits.body", "3 elephants"), ("log.format", "xml")]
    {
        let e = layers(&[(key, value)], &[], None).resolve().unwrap_err().to_string();
        assert!(e.contains(key) && e.contains(value), "{e}");
    }
    let e =
        layers(&[], &[], Some("port = 1\ndatabase = postgres://u:hunter2@db/x\n")).resolve().unwrap_err().to_string();
    assert!(e.contains("mainspring.toml, line 2, column 12") && !e.contains("hunter2"), "{e}");
    let l = layers(&[("database", "postgres://u:hunter2@db/x")], &[], None);
    assert_eq!(origin_of(&l, "database").0, "***");
    let settings = Settings::from_resolved(&l.resolve().unwrap()).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn settings_that_do_not_fit_together_are_refused() {
    let l = layers(&[("tls.cert", "a.pem")], &[], None);
    assert!(Settings::from_resolved(&l.resolve().unwrap()).unwrap_err().to_string().contains("tls.key"));
    let l = layers(&[("database", "mysql://u:hunter2@db/x")], &[], None);
    let e = Settings::from_resolved(&l.resolve().unwrap()).unwrap_err().to_string();
    assert!(e.contains("postgres://") && !e.contains("hunter2"), "{e}");
    let l = layers(&[("otlp.endpoint", "http://u:hunter2/x@collector:4317")], &[], None);
    let e = Settings::from_resolved(&l.resolve().unwrap()).unwrap_err().to_string();
    assert!(e.contains("OTEL_EXPORTER_OTLP_HEADERS") && !e.contains("hunter2"), "{e}");
    for endpoint in ["nonsense", "https://collector:4317", "http://", "collector:4317", "grpc://collector:4317"] {
        let l = layers(&[("otlp.endpoint", endpoint)], &[], None);
        let e = Settings::from_resolved(&l.resolve().unwrap()).unwrap_err().to_string();
        assert!(e.contains(endpoint) && e.contains("e.g. http://127.0.0.1:4317"), "{e}");
    }
    for endpoint in ["http://collector:4317", "http://127.0.0.1", "http://[::1]:4317/"] {
        let l = layers(&[("otlp.endpoint", endpoint)], &[], None);
        assert!(Settings::from_resolved(&l.resolve().unwrap()).is_ok(), "{endpoint}");
    }
    let l = layers(&[("limits.body", "0")], &[], None);
    let e = Settings::from_resolved(&l.resolve().unwrap()).unwrap_err().to_string();
    assert!(e.contains("limits.body") && e.contains("64MiB"), "{e}");
    let l = layers(&[("port", "70000")], &[], None);
    assert!(Settings::from_resolved(&l.resolve().unwrap()).is_err());
}

#[test]
fn defaults_parse_and_names_are_unique() {
    let settings = Settings::from_resolved(&layers(&[], &[], None).resolve().unwrap()).unwrap();
    // What a channel may send is not every secret of the container.
    assert_eq!(settings.secrets, std::path::Path::new("/run/secrets/mainspring"));
    let mut names: Vec<_> = KEYS.iter().map(super::Key::flag).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), KEYS.len());
}
