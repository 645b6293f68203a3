//! serde's messages in the words of who wrote the JSON or YAML.

/// What serde says of a value, with JSON's words for what it is and without the names of Rust's types:
/// `invalid type: string "on", expected struct CacheSpec` becomes `invalid type: string "on", expected an object`.
/// What serde quotes of the value itself stays as it is.
///
/// The wordings are those of serde's `Unexpected`, of what `#[derive(Deserialize)]` says that it expects, and of
/// enums of the derive.
#[must_use]
pub fn in_plain_words(said: &str) -> String {
    /// What stands before a type's name, and what stands for both.
    const TYPES: [(&str, &str); 6] = [
        ("expected struct ", "expected an object"),
        ("expected tuple struct ", "expected a list"),
        ("expected internally tagged enum ", "expected an object"),
        ("expected adjacently tagged enum ", "expected an object"),
        ("expected enum ", "expected a text or an object with one field"),
        ("data did not match any variant of untagged enum ", "the value has none of the forms that are possible here"),
    ];
    // What the value holds comes first, and may say anything.
    let (value, expectation) = match said.rfind(", expected ") {
        Some(at) => said.split_at(at),
        None => ("", said),
    };
    let value = match value.strip_prefix("invalid type: ") {
        Some("map") => "invalid type: object",
        Some("sequence") => "invalid type: list",
        _ => value,
    };
    for (before, instead) in TYPES {
        let Some((start, rest)) = expectation.split_once(before) else { continue };
        let rest = rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        // ` with 3 elements`: of a list where an object's fields were wanted.
        let rest = match rest.strip_prefix(" with ").and_then(|rest| rest.split_once(" element")) {
            Some((_, rest)) => rest.trim_start_matches('s'),
            None => rest,
        };
        return format!("{value}{start}{instead}{rest}");
    }
    let expectation = expectation.replacen("expected a map", "expected an object", 1);
    format!("{value}{}", expectation.replacen("expected a sequence", "expected a list", 1))
}

#[cfg(test)]
mod tests {
    use super::in_plain_words;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only what serde says of it is looked at")]
    struct CacheSpec {
        size: u32,
        how: How,
    }

    #[derive(Debug, Deserialize)]
    enum How {
        Fast,
    }

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only what serde says of it is looked at")]
    enum Either {
        Number(u32),
        Spec(CacheSpec),
    }

    #[derive(Debug, Deserialize)]
    #[serde(tag = "type")]
    enum Tagged {
        One,
    }

    fn said<T: for<'de> Deserialize<'de> + std::fmt::Debug>(text: &str) -> String {
        in_plain_words(&serde_json::from_str::<T>(text).expect_err("it does not fit").to_string())
    }

    #[test]
    fn names_no_type_of_rust() {
        for (got, want) in [
            (said::<CacheSpec>("\"on\""), "invalid type: string \"on\", expected an object at line 1 column 4"),
            (said::<CacheSpec>("[1]"), "invalid length 1, expected an object at line 1 column 3"),
            (said::<Either>("\"x\""), "the value has none of the forms that are possible here"),
            (said::<Tagged>("3"), "invalid type: integer `3`, expected an object at line 1 column 1"),
            // What the value says is no type's name.
            (
                said::<u32>("\"expected struct Cache\""),
                "invalid type: string \"expected struct Cache\", expected u32 at line 1 column 23",
            ),
            (said::<CacheSpec>("{\"size\": 1}"), "missing field `how` at line 1 column 11"),
            (said::<String>("{}"), "invalid type: object, expected a string at line 1 column 0"),
            (said::<Vec<u32>>("3"), "invalid type: integer `3`, expected a list at line 1 column 1"),
            (said::<BTreeMap<String, u32>>("[]"), "invalid type: list, expected an object at line 1 column 0"),
        ] {
            assert_eq!(got, want);
        }
        assert!(!said::<How>("3").contains("How"), "{}", said::<How>("3"));
    }
}
