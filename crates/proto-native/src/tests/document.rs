use std::path::Path;

/// The console's types are generated from this file: it must be what the code says. Written anew
/// with `MAINSPRING_WRITE_OPENAPI=1 cargo test -p mainspring-proto-native`.
#[test]
fn the_openapi_file_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../console/openapi.json");
    let mut made = crate::openapi().to_pretty_json().unwrap();
    made.push('\n');
    if std::env::var_os("MAINSPRING_WRITE_OPENAPI").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    let mend = "MAINSPRING_WRITE_OPENAPI=1 cargo test -p mainspring-proto-native";
    assert!(kept == made, "console/openapi.json is old; run: {mend}");
}

#[test]
fn every_schema_that_is_referred_to_is_there() {
    let document = serde_json::to_value(crate::openapi()).unwrap();
    let text = document.to_string();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
}
