//! JSON into features, as Vowpal Wabbit and its kin read it: a number is a feature with that value, a text or a truth
//! value one that is there, objects and lists are walked, and the path is the name.

use mainspring_stats::contextual::Feature;
use serde_json::Value;
use twox_hash::XxHash3_128;

/// Features of one context or action at most; more are refused, for each action is crossed with the context.
pub(crate) const MOST: usize = 256;
const DEEPEST: usize = 16;

/// Why JSON makes no features.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    /// Too many.
    #[error("{what} has over {MOST} features; leave out what does not tell the actions apart")]
    TooMany {
        /// Of what.
        what: String,
    },
    /// Too deep.
    #[error("{what} is nested over {DEEPEST} levels deep")]
    TooDeep {
        /// What is.
        what: String,
    },
}

/// The features of a value; `what` is what it is called in refusals, and keeps equal names of contexts and actions
/// apart.
pub(crate) fn features(what: &'static str, value: &Value) -> Result<Vec<Feature>, FeatureError> {
    let mut all = Vec::new();
    walk(what, value, &mut Walk { path: what.to_owned(), depth: 0, all: &mut all })?;
    Ok(all)
}

struct Walk<'a> {
    path: String,
    depth: usize,
    all: &'a mut Vec<Feature>,
}

fn walk(what: &str, value: &Value, at: &mut Walk<'_>) -> Result<(), FeatureError> {
    if at.depth > DEEPEST {
        return Err(FeatureError::TooDeep { what: what.to_owned() });
    }
    let mut put = |name: &str, value: f32| {
        if at.all.len() == MOST {
            return Err(FeatureError::TooMany { what: what.to_owned() });
        }
        at.all.push(Feature { key: key(name), value });
        Ok(())
    };
    match value {
        Value::Null | Value::Bool(false) => Ok(()),
        Value::Bool(true) => put(&at.path, 1.0),
        Value::Number(n) => {
            // A number too large for 32 bits says no more than the largest that fits.
            let value = n.as_f64().unwrap_or(0.0).clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32;
            if value == 0.0 { Ok(()) } else { put(&at.path, value) }
        }
        Value::String(text) => put(&format!("{}={text}", at.path), 1.0),
        // A list is a set: texts in it are there or not, objects in it are namespaces of their own.
        Value::Array(items) => items.iter().try_for_each(|item| {
            at.depth += 1;
            let done = walk(what, item, at);
            at.depth -= 1;
            done
        }),
        Value::Object(map) => map.iter().try_for_each(|(name, inner)| {
            let before = at.path.len();
            at.path.push('.');
            at.path.push_str(name);
            at.depth += 1;
            let done = walk(what, inner, at);
            at.depth -= 1;
            at.path.truncate(before);
            done
        }),
    }
}

fn key(name: &str) -> u64 {
    XxHash3_128::oneshot(name.as_bytes()) as u64
}

/// What an action is worth in a context: the action itself, its features, and each of those with each of the
/// context's. The context alone says nothing about which action to take.
pub(crate) fn crossed(context: &[Feature], action: &[Feature]) -> Vec<Feature> {
    let mut all = Vec::with_capacity(action.len() * (context.len() + 1));
    all.extend_from_slice(action);
    all.extend(action.iter().flat_map(|a| context.iter().map(|c| c.with(*a))));
    all
}

/// The features of an action: its id, which is always one, and what is said of it.
pub(crate) fn of_action(id: &str, said: &Value) -> Result<Vec<Feature>, FeatureError> {
    let mut all = vec![Feature { key: key(&format!("action#{id}")), value: 1.0 }];
    all.extend(features("action", said)?);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keys(value: &Value) -> Vec<u64> {
        features("context", value).unwrap().iter().map(|f| f.key).collect()
    }

    #[test]
    fn paths_are_names_and_absent_values_are_no_features() {
        let value = json!([{"user": {"age": 31, "member": true, "blocked": false, "tier": null}}, {"device": "phone"}]);
        let all = features("context", &value).unwrap();
        let named = |name: &str| all.iter().find(|f| f.key == key(name)).map(|f| f.value);
        assert_eq!(all.len(), 3);
        assert_eq!(named("context.user.age"), Some(31.0));
        assert_eq!(named("context.user.member"), Some(1.0));
        assert_eq!(named("context.device=phone"), Some(1.0));
    }

    #[test]
    fn contexts_and_actions_do_not_share_names_and_sets_have_no_order() {
        assert_ne!(features("action", &json!({"a": 1})).unwrap(), features("context", &json!({"a": 1})).unwrap());
        let (mut there, mut back) = (keys(&json!({"tags": ["a", "b"]})), keys(&json!({"tags": ["b", "a"]})));
        there.sort_unstable();
        back.sort_unstable();
        assert_eq!(there, back);
    }

    #[test]
    fn too_much_is_refused() {
        let wide = json!((0..300).map(|n| format!("w{n}")).collect::<Vec<_>>());
        assert_eq!(features("context", &wide), Err(FeatureError::TooMany { what: "context".into() }));
        let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(features("context", &deep), Err(FeatureError::TooDeep { what: "context".into() }));
        assert_eq!(features("context", &json!(1e300)).unwrap()[0].value, f32::MAX);
    }
}
