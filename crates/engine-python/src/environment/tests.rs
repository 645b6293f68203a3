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
fn the_files_that_are_asked_for_decide_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let asked = "numpy\n-r lists/more.txt\n--constraint=bounds.txt\n./wheels/mine-1.0-py3-none-any.whl\n-e code/own\n";
    for (name, text) in [
        ("lists/more.txt", "-rlast.txt\n-r more.txt\n"),
        ("lists/last.txt", "pandas"),
        ("bounds.txt", "pandas<3"),
        ("wheels/mine-1.0-py3-none-any.whl", "a wheel"),
        ("code/own/own/__init__.py", "answer = 42"),
        ("numpy/readme", "named like a package of an index"),
    ] {
        write(name, text);
    }
    let root = folder.path().canonicalize().unwrap();
    let now = |asked: &str| digest(&named::with_files(&root, asked), "3.11.7");
    let mut before = now(asked);
    assert_eq!(before, now(asked));
    for name in [
        "lists/more.txt",
        "lists/last.txt",
        "bounds.txt",
        "wheels/mine-1.0-py3-none-any.whl",
        "code/own/own/__init__.py",
    ] {
        write(name, "something else");
        if name == "lists/more.txt" {
            write(name, "-rlast.txt\n\n-r more.txt\n");
        }
        let after = now(asked);
        assert_ne!(before, after, "{name}");
        before = after;
    }
    write("numpy/readme", "something else");
    assert_eq!(before, now(asked));
    // Without files nothing is built again.
    assert_eq!(now("mlflow==3.1\nnumpy\n"), digest("mlflow==3.1\nnumpy\n", "3.11.7"));
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

#[test]
fn unused_environments_go_by_age_and_by_size_and_held_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let environments = Environments::new(folder.path().to_owned());
    let day = Duration::from_secs(86_400);
    let make = |name: &str, idle: Duration| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.join("bin")).unwrap();
        std::fs::write(path.join("bin/python"), vec![0; 1000]).unwrap();
        std::fs::write(folder.path().join(format!("{name}.lock")), "").unwrap();
        keep::weigh(&path);
        keep::used(&path);
        let marked = std::fs::File::options().write(true).open(path.join("mainspring-used")).unwrap();
        marked.set_modified(marked.metadata().unwrap().modified().unwrap() - idle).unwrap();
        path.join("bin/python")
    };
    let left = || {
        let mut names: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .flatten()
            .map(|e| e.file_name().into_string().unwrap())
            .filter(|n| std::path::Path::new(n).extension().is_none_or(|x| x != "lock"))
            .collect();
        names.sort();
        names
    };
    for (name, days) in [("a", 0), ("b", 2), ("c", 5), ("d", 9), ("e", 40), ("f", 50)] {
        make(name, day * days);
    }
    make("g.part", day * 50);
    let held = environments.hold(&folder.path().join("f/bin/python")).unwrap();
    assert!(environments.hold(Path::new("/usr/bin/python3")).is_none());
    environments.sweep(keep::Limits { unused: day * 30, bytes: 3500, safe: day });
    assert_eq!(left(), ["a", "b", "c", "f", "g.part"], "e is too old, d is the oldest of too many");
    assert!(!folder.path().join("e.lock").exists() && folder.path().join("a.lock").exists());
    environments.sweep(keep::Limits { unused: day * 30, bytes: 0, safe: day * 3 });
    assert_eq!(left(), ["a", "b", "f", "g.part"], "what was used lately stays");
    // It was in use until now.
    drop(held);
    environments.sweep(keep::Limits { unused: day * 30, bytes: 1 << 30, safe: day });
    assert_eq!(left(), ["a", "b", "f", "g.part"]);
}
