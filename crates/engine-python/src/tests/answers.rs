//! What a model is given beside its tensors, and what it answers beside plain tensors.

use super::{Rig, models, named, tell};
use bytes::Bytes;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{Ctx, DType, ErrorKind, EventId, Failure, Tensor, Tokens};
use mainspring_engine::{Content, EngineError, Model, ModelFiles, Params, Part, RunCx};
use std::path::Path;

fn x(value: f64) -> Vec<NamedTensor> {
    vec![named("x", Tensor::from_vec(DType::Fp64, vec![1], vec![value]).unwrap())]
}

fn text(value: &str) -> Tensor {
    Tensor::from_strings(vec![1], vec![Bytes::copy_from_slice(value.as_bytes())]).unwrap()
}

fn string(tensor: &Tensor) -> String {
    String::from_utf8(tensor.strings().unwrap()[0].to_vec()).unwrap()
}

fn with(params: &str) -> RunCx {
    RunCx { params: Some(Params::new(params)), ..RunCx::default() }
}

#[test]
fn parameters_come_with_defaults_and_types_as_the_signature_says() {
    let rig = Rig::new();
    let model = rig.open("params", |_| {}).unwrap();
    let seen = |cx: &RunCx| model.run(&x(1.0), cx).map(|outputs| string(&outputs[0].tensor));
    let none = seen(&RunCx::default()).unwrap();
    assert!(none.contains("'heat': 0.5") && none.contains("'stop': ['.']") && none.contains("'day'"), "{none}");
    let some = seen(&with(r#"{"heat":1,"stop":["a","b"],"day":"2026-02-03T04:05:06"}"#)).unwrap();
    assert_eq!(some, "{'heat': 1.0, 'stop': ['a', 'b'], 'day': datetime.datetime(2026, 2, 3, 4, 5, 6)}");
    assert!(seen(&with(r#"{"heat":NaN}"#)).unwrap().contains("'heat': nan"));
    assert_eq!(seen(&RunCx::default()).unwrap(), none, "one request's parameters are not the next one's");
    let e = seen(&with(r#"{"day":"never"}"#)).unwrap_err();
    assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains("day"), "{e}");
}

#[test]
fn nested_values_go_in_and_come_out_as_the_signature_says() {
    let rig = Rig::new();
    let model = rig.open("nested", |_| {}).unwrap();
    let contents: Vec<Content> = model.signature().inputs.iter().map(|i| i.content).collect();
    assert_eq!(contents, [Content::Json; 4]);
    let outputs: Vec<Content> = model.signature().outputs.iter().map(|o| o.content).collect();
    assert_eq!(outputs, [Content::Text, Content::Json]);
    let ask = |list: &str, object: &str, map: &str, any: &str| {
        let inputs = [("list", list), ("object", object), ("map", map), ("any", any)];
        let inputs = inputs.map(|(name, value)| named(name, text(value)));
        model.run(&inputs, &RunCx::default()).map(|o| (string(&o[0].tensor), string(&o[1].tensor)))
    };
    let any =
        r#"{"deep":[[1,-2],{"n":null,"t":true,"big":1234567890123,"small":-9007199254740993,"x":0.1,"s":"ü\u0001"}]}"#;
    let (seen, same) = ask("[1, 2.5]", r#"{"a": 3}"#, r#"{"k": 4}"#, any).unwrap();
    assert!(seen.starts_with("{'list': [1.0, 2.5], 'object': {'a': "), "{seen}");
    assert!(seen.contains("'big': 1234567890123") && seen.contains("'n': None"), "{seen}");
    assert_eq!(same, any);
    assert_eq!(ask("[1]", r#"{"a":1,"b":["c"]}"#, r#"{"k":1}"#, "[NaN,-Infinity]").unwrap().1, "[NaN,-Infinity]");
    for (list, object, map, says) in [
        (r#"["a"]"#, r#"{"a":1}"#, "{}", "list"),
        ("[1]", "{}", "{}", "Missing required properties"),
        ("[1]", r#"{"a":1,"c":1}"#, "{}", "Invalid properties"),
        ("[1]", r#"{"a":1}"#, "[]", "map"),
        ("[1", r#"{"a":1}"#, "{}", "not JSON"),
    ] {
        let e = ask(list, object, map, "null").unwrap_err();
        assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains(says), "{e}");
    }
}

/// Parts of an answer, until there are `most`.
fn stream(model: &dyn Model, count: f64, most: usize) -> (Vec<Part>, Result<Vec<Tokens>, EngineError>) {
    let mut parts = Vec::new();
    let end = model.stream(&x(count), &RunCx::default(), &mut |part| {
        parts.push(part);
        parts.len() < most
    });
    (parts, end)
}

/// Whether a worker wrote a file of this name.
fn wrote(rig: &Rig, name: &str) -> bool {
    let folders = std::fs::read_dir(rig.folder.path().join("python/run")).unwrap();
    folders.flatten().any(|f| f.path().join(name).exists())
}

#[test]
fn an_answer_comes_in_parts_and_stops_when_nobody_wants_more() {
    let rig = Rig::new();
    let model = rig.open("parts", |_| {}).unwrap();
    assert!(model.streams() && !rig.told().streams());
    let (parts, end) = stream(&model, 5.0, 99);
    end.unwrap();
    let contents: Vec<Content> = parts.iter().map(|p| p.contents[0]).collect();
    assert_eq!(contents, [Content::Text, Content::Json, Content::Text, Content::Text, Content::Binary]);
    assert_eq!(string(&parts[0].outputs[0].tensor), "part 0");
    assert_eq!(string(&parts[1].outputs[0].tensor), r#"{"part":[1,null,NaN]}"#);
    assert_eq!(parts[2].outputs[0].tensor.to_vec::<i64>().unwrap(), [2, 3, 4]);
    assert_eq!(parts[3].outputs[0].tensor.to_vec::<f64>().unwrap(), [1.5]);
    assert_eq!(parts[4].outputs[0].tensor.strings().unwrap(), [Bytes::from_static(b"\xff")]);
    let rest = stream(&model, 0.0, 99);
    assert!(rest.0.is_empty() && rest.1.is_ok());
}

#[test]
fn the_model_stops_when_nobody_wants_more_parts_and_fails_in_the_middle() {
    let rig = Rig::new();
    let model = rig.open("parts", |_| {}).unwrap();
    assert!(!wrote(&rig, "closed"));
    let (parts, end) = stream(&model, 1e9, 3);
    assert!(end.is_ok() && parts.len() == 3);
    // The generator is closed before the call is over.
    assert!(wrote(&rig, "closed"));
    assert_eq!(string(&model.run(&x(1.0), &RunCx::default()).unwrap()[0].tensor), "whole");
    let (parts, end) = stream(&model, 8.0, 99);
    let e = end.unwrap_err();
    assert!(parts.len() == 7 && e.to_string().contains("ValueError"), "{e}");
    assert_eq!(stream(&model, 2.0, 99).0.len(), 2);
}

#[test]
fn a_plain_file_with_load_and_predict_is_a_model() {
    let rig = Rig::new();
    let folder = models().join("plain");
    let open = |root: &Path, entry: &str| {
        let files = ModelFiles { root: root.to_owned(), entry: entry.into(), flavor: "python_file".into() };
        rig.engine.start(&files, &Rig::options())
    };
    let model = open(&folder, "model.py").unwrap();
    let takes: Vec<_> = model.signature().inputs.iter().map(|i| (i.name.to_string(), i.dtype)).collect();
    assert_eq!(takes, [("x".to_owned(), DType::Fp64), ("name".to_owned(), DType::Bytes)]);
    assert!(model.mlflow_signature().unwrap().contains("inputs"));
    let given = [x(2.0), vec![named("name", text("n"))]].concat();
    assert_eq!(model.run(&given, &RunCx::default()).unwrap()[0].tensor.to_vec::<f64>().unwrap(), [6.0]);
    let mut parts = Vec::new();
    let end = model.stream(&given, &RunCx::default(), &mut |part| {
        parts.push(string(&part.outputs[0].tensor));
        true
    });
    assert!(end.is_ok());
    assert_eq!(parts, ["0 3.0", "1 3.0"]);
    let e = open(models(), "silent.py").unwrap_err();
    assert!(e.to_string().contains("silent.py") && e.to_string().contains("input_example"), "{e}");
    let e = open(&folder, "absent.py").unwrap_err();
    assert!(matches!(&e, EngineError::Load { path, .. } if path.ends_with("absent.py")), "{e}");
}

#[test]
fn lines_are_joined_to_the_predictions_that_wrote_them() {
    let lines = seen::Lines::default();
    tracing::subscriber::set_global_default(lines.clone()).unwrap();
    let rig = Rig::new();
    let model = rig.open("chatty", |_| {}).unwrap();
    let ctx = Ctx::system();
    let calls: Vec<Vec<EventId>> = (0..20).map(|_| (0..2).map(|_| ctx.ids.event(ctx.now())).collect()).collect();
    // Warm-up has written about 0.
    for (number, ids) in (1_u8..).zip(&calls) {
        let cx = RunCx { ids: ids.clone(), ..RunCx::default() };
        model.run(&x(f64::from(number)), &cx).unwrap();
    }
    tell(&model, 99.0).unwrap();
    drop(model);
    super::until("the last line is read", || lines.all().iter().any(|(text, _)| text == "native 99"));
    let lines = lines.all();
    for (number, ids) in (1..).zip(&calls) {
        let both = Some(format!("{} {}", ids[0], ids[1]));
        for what in ["printed", "to stderr", "native"] {
            let line = format!("{what} {number}");
            let found: Vec<_> = lines.iter().filter(|(text, _)| *text == line).collect();
            assert!(matches!(found.as_slice(), [(_, ids)] if *ids == both), "{line}: {found:?}");
        }
        let logged = lines.iter().find(|(text, _)| text.ends_with(&format!("logged {number}")));
        assert!(logged.is_some_and(|(_, ids)| *ids == both), "{logged:?}");
    }
    let last: Vec<_> = lines.iter().filter(|(text, _)| text == "printed 99").collect();
    assert!(matches!(last.as_slice(), [(_, None)]), "{last:?}");
}

proptest::proptest! {
    #[test]
    fn any_bytes_of_a_nested_answer_are_read_or_refused(
        bytes in proptest::collection::vec(proptest::prop_oneof![
            proptest::sample::select(b"NTFilgu[({0".to_vec()), 0..4_u8, proptest::num::u8::ANY,
        ], 0..80),
    ) {
        let tensor = Tensor::from_strings(vec![1], vec![bytes.into()]).unwrap();
        let _ = crate::nested::incoming(&tensor);
    }

    #[test]
    fn nested_values_come_back_as_they_went(
        whole in proptest::collection::vec(proptest::num::i64::ANY, 0..5),
        real in proptest::num::f64::NORMAL,
        words in proptest::collection::vec("\\PC{0,9}", 0..4),
    ) {
        use mainspring_wire::Node;
        let texts = words.iter().map(|w| Node::Text(w.clone().into())).collect();
        let named = words.iter().enumerate().map(|(i, w)| (format!("{i}{w}").into(), Node::Bool(i == 0))).collect();
        let list = whole.into_iter().map(Node::Int).chain([Node::Float(real), Node::Null]).collect();
        let node = Node::Map(vec![("list".into(), Node::List(list)), ("t".into(), Node::List(texts)), ("m".into(), Node::Map(named))]);
        let json = Tensor::from_strings(vec![1], vec![node.to_json()]).unwrap();
        let back = crate::nested::incoming(&crate::nested::outgoing(&json).unwrap()).unwrap();
        proptest::prop_assert_eq!(Node::parse(&back.strings().unwrap()[0]).unwrap(), node);
    }
}

mod seen {
    //! The lines of models, as the log has them.

    use parking_lot::Mutex;
    use std::fmt::Debug;
    use std::sync::Arc;
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    type Line = (String, Option<String>);

    /// Text and predictions of each line.
    #[derive(Clone, Default)]
    pub struct Lines(Arc<Mutex<Vec<Line>>>);

    impl Lines {
        pub fn all(&self) -> Vec<Line> {
            self.0.lock().clone()
        }
    }

    #[derive(Default)]
    struct Reader(Line);

    impl Visit for Reader {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            if field.name() == "message" {
                self.0.0 = format!("{value:?}");
            }
        }

        fn record_str(&mut self, field: &Field, value: &str) {
            if field.name() == "predictions" {
                self.0.1 = Some(value.into());
            }
        }
    }

    impl Subscriber for Lines {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "mainspring_model"
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut reader = Reader::default();
            event.record(&mut reader);
            self.0.lock().push(reader.0);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }
}
