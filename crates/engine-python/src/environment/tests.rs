use super::build::reason;
use super::*;

#[test]
fn the_python_of_a_model_is_read() {
    let text = "python: 3.11.7\nbuild_dependencies:\n- pip==23.2.1\ndependencies:\n- -r requirements.txt\n";
    assert_eq!(python_of(text).as_deref(), Some("3.11.7"));
    assert_eq!(python_of("python: \"3.12\"").as_deref(), Some("3.12"));
    assert_eq!(python_of("python: /usr/bin/evil"), None);
    assert_eq!((minor("3.11.7"), minor("3.12"), minor("3")), ("3.11", "3.12", "3"));
}

#[test]
fn what_is_asked_for_decides_which_environment_it_is() {
    let plain = digest("mlflow==3.1\nnumpy\n", "3.11.7");
    assert_eq!(plain, digest("# by hand\n mlflow==3.1\r\n\nnumpy", "3.11.7"));
    assert_ne!(plain, digest("mlflow==3.1\nnumpy\n", "3.11.8"));
    assert_ne!(plain, digest("numpy\nmlflow==3.1\n", "3.11.7"));
}

#[test]
fn another_python_is_named_with_the_way_out() {
    let found = Found { path: "/opt/python".into(), how: "set with --python", version: "3.11.7".into(), mlflow: None };
    let wanted = |python: &str| Wanted { requirements: String::new(), python: Some(python.into()) };
    assert_eq!(choose(&wanted("3.11.2"), Ok(found.clone()), false), Ok(("/opt/python".into(), "3.11.7".into())));
    let e = choose(&wanted("3.99.1"), Ok(found.clone()), false).unwrap_err();
    assert!(e.contains("3.99.1") && e.contains("python3.99") && e.contains("env: shared"), "{e}");
    assert_eq!(choose(&wanted("3.99.1"), Ok(found), true), Ok(("3.99".into(), "3.99".into())));
}

#[test]
fn a_failed_installation_names_the_requirement() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let wanted = "mlflow==3.17.2\nno-such-package==9.9\nnumpy\n";
    let pip = lines(
        "ERROR: Could not find a version that satisfies the requirement no-such-package==9.9 (from versions: none)\n\
         ERROR: No matching distribution found for no-such-package==9.9",
    );
    let uv = lines("× No solution found\n╰─▶ Because no-such-package was not found in the package registry");
    for said in [pip, uv] {
        let reason = reason(&said, wanted);
        assert!(reason.starts_with("its requirement no-such-package==9.9 cannot be installed"), "{reason}");
        assert!(reason.ends_with(said.last().unwrap()), "{reason}");
    }
    assert!(reason(&lines("killed"), wanted).starts_with("its requirements cannot be installed"));
}
