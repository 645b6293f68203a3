use crate::TextRuntime;
use crate::folder::Scores;
use crate::head::{highest, score};
use bytes::Bytes;
use mainspring_core::tensor::NamedTensor;
use mainspring_core::{ErrorKind, Failure, Tensor};
use mainspring_engine::suite::{self, Fixtures};
use mainspring_engine::{AnswerForm, Engine, EngineError, LoadOptions, Model, ModelFiles, RunCx};
use mainspring_engine_onnx::OnnxRuntime;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

const TOKENIZER: &str = r#"{
    "version": "1.0", "added_tokens": [
        {"id": 0, "content": "[PAD]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
        {"id": 2, "content": "[CLS]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
        {"id": 3, "content": "[SEP]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
    ],
    "truncation": null,
    "padding": {"strategy": {"Fixed": 11}, "direction": "Left", "pad_to_multiple_of": null, "pad_id": 9, "pad_type_id": 0, "pad_token": "e"},
    "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {
            "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}, "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}
        }
    },
    "decoder": null,
    "model": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5, "c": 6, "d": 7, "e": 9}}
}"#;

fn engine() -> TextRuntime {
    TextRuntime::over(Arc::new(OnnxRuntime::open(mainspring_testkit::onnxruntime().as_deref(), 0)))
}

/// A model's folder: a graph of `tests-data`, the tokenizer, and these files.
fn folder(graph: &str, files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data");
    std::fs::copy(data.join(format!("{graph}.onnx")), dir.path().join("model.onnx")).unwrap();
    std::fs::write(dir.path().join("tokenizer.json"), TOKENIZER).unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn load(dir: &TempDir) -> Result<Arc<dyn Model>, EngineError> {
    let files = ModelFiles { root: dir.path().to_owned(), entry: "model.onnx".into(), flavor: "onnx".into() };
    engine().load(&files, &LoadOptions::default())
}

fn open(graph: &str, files: &[(&str, &str)]) -> Arc<dyn Model> {
    load(&folder(graph, files)).unwrap()
}

fn texts(texts: &[&str]) -> Vec<NamedTensor> {
    let values = texts.iter().map(|t| Bytes::copy_from_slice(t.as_bytes())).collect();
    vec![NamedTensor { name: "text".into(), tensor: Tensor::from_strings(vec![texts.len()], values).unwrap() }]
}

fn run(model: &dyn Model, given: &[&str]) -> Vec<Tensor> {
    model.run(&texts(given), &RunCx::default()).unwrap().into_iter().map(|o| o.tensor).collect()
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.to_vec().unwrap()
}

fn words(tensor: &Tensor) -> Vec<String> {
    tensor.strings().unwrap().iter().map(|b| String::from_utf8(b.to_vec()).unwrap()).collect()
}

const CLASSES: &str = r#"{"architectures": ["BertForSequenceClassification"], "id2label": {"0": "low", "1": "high", "2": "even"}, "max_position_embeddings": 6}"#;
const EMBED: &str = r#"{"architectures": ["BertModel"]}"#;

#[test]
fn without_a_tokenizer_it_is_the_inner_engine() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine-onnx/tests-data");
    let files =
        |name: &str| ModelFiles { root: data.clone(), entry: format!("{name}.onnx").into(), flavor: "onnx".into() };
    let fixtures = Fixtures { identity: files("identity"), corrupt: files("corrupt"), options: LoadOptions::default() };
    suite::check(&engine(), &fixtures).unwrap();
}

#[test]
fn classes_come_with_their_scores() {
    let model = open("classes", &[("config.json", CLASSES)]);
    assert_eq!(model.answer(), AnswerForm::Frame);
    assert_eq!(model.labels(2).unwrap().iter().map(|l| &**l).collect::<Vec<_>>(), ["low", "high", "even"]);
    assert!(model.labels(0).is_none() && model.waits());
    let out = run(&*model, &["a", "", "A b"]);
    assert_eq!(words(&out[0]), ["low"; 3]);
    // [CLS] a [SEP]: the numbers 2 + 4 + 3, so 9, -9 and 3 tokens.
    let mut row = [9.0, -9.0, 3.0];
    score(Scores::Softmax, &mut row);
    assert_eq!(floats(&out[2])[..3], row);
    assert_eq!(floats(&out[1])[0], row[0]);
    assert_eq!((out[1].shape(), out[2].shape()), ([3].as_slice(), [3, 3].as_slice()));
}

#[test]
fn the_tokens_of_each_text_are_counted_as_the_model_reads_them() {
    let model = open("classes", &[("config.json", CLASSES)]);
    // [CLS] and [SEP] are among them; the third is cut to the six that the model takes.
    let counted = model.run_counted(&texts(&["a", "", "a b a b a b a b"]), &RunCx::default()).unwrap();
    let read: Vec<u64> = counted.tokens.iter().map(|t| t.input).collect();
    assert_eq!((read, counted.outputs.len()), (vec![3, 2, 6], 3));
    assert!(counted.tokens.iter().all(|t| t.output == 0));
}

#[test]
fn a_configuration_without_names_numbers_the_classes() {
    let config = r#"{"architectures": ["XForSequenceClassification"], "problem_type": "multi_label_classification"}"#;
    let model = open("classes", &[("config.json", config)]);
    let out = run(&*model, &["a"]);
    assert_eq!(words(&out[0]), ["LABEL_0"]);
    assert_eq!(floats(&out[2]), [9.0_f32, -9.0, 3.0].map(|x| 1.0 / (1.0 + (-x).exp())));
}

#[test]
fn what_the_tokenizer_cuts_and_fills_is_the_models_to_say() {
    let model = open("classes", &[("config.json", CLASSES)]);
    // Six positions: four tokens beside the ends, and none of the eleven that tokenizer.json would fill up to.
    let raw = r#"{"architectures": ["XForSequenceClassification"], "problem_type": "regression", "max_position_embeddings": 6}"#;
    let out = run(&*open("classes", &[("config.json", raw)]), &["a b c d e e", "a b c d", "a"]);
    assert_eq!(floats(&out[2]), [27.0, -27.0, 6.0, 27.0, -27.0, 6.0, 9.0, -9.0, 3.0]);
    let left =
        [("config.json", raw), ("tokenizer_config.json", r#"{"model_max_length": 5, "truncation_side": "left"}"#)];
    assert_eq!(floats(&run(&*open("classes", &left), &["a b c d"])[2])[2], 5.0);
    assert_eq!(floats(&run(&*open("classes", &left), &["a b c d"])[2])[0], 2.0 + 5.0 + 6.0 + 7.0 + 3.0);
    assert_eq!(run(&*model, &["e"; 3])[0].len(), 3);
}

fn sentences(pooling: &str, normalize: bool) -> [(&'static str, String); 3] {
    let mut modules = vec![
        r#"{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}"#,
        r#"{"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}"#,
    ];
    if normalize {
        modules.push(r#"{"idx": 2, "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}"#);
    }
    [
        ("config.json", EMBED.into()),
        ("modules.json", format!("[{}]", modules.join(","))),
        ("1_Pooling/config.json", pooling.into()),
    ]
}

fn pooled(pooling: &str, normalize: bool) -> Result<Vec<f32>, EngineError> {
    let files = sentences(pooling, normalize);
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let model = load(&folder("tokens", &files))?;
    // Both rows in one call, so that the second one is filled up.
    Ok(floats(&run(&*model, &["b b b", "a"])[0])[3..].to_vec())
}

#[test]
fn tokens_become_one_vector_in_each_of_the_ways() {
    // [CLS] a [SEP] are 2, 4 and 3; what fills the row does not count.
    assert_eq!(pooled(r#"{"pooling_mode": "mean"}"#, false).unwrap(), [3.0, -3.0, 1.0]);
    assert_eq!(pooled(r#"{"pooling_mode_mean_tokens": true}"#, false).unwrap(), [3.0, -3.0, 1.0]);
    assert_eq!(pooled(r#"{"pooling_mode_cls_token": true}"#, false).unwrap(), [2.0, -2.0, 1.0]);
    assert_eq!(pooled(r#"{"pooling_mode": "max"}"#, false).unwrap(), [4.0, -2.0, 1.0]);
    assert_eq!(pooled(r#"{"pooling_mode": "lasttoken"}"#, false).unwrap(), [3.0, -3.0, 1.0]);
    let root = 3.0_f32.sqrt();
    assert_eq!(
        pooled(r#"{"pooling_mode": "mean_sqrt_len_tokens"}"#, false).unwrap(),
        [9.0 / root, -9.0 / root, 3.0 / root]
    );
    let length = 19.0_f32.sqrt();
    assert_eq!(pooled(r#"{"pooling_mode": "mean"}"#, true).unwrap(), [3.0 / length, -3.0 / length, 1.0 / length]);
}

#[test]
fn pooling_that_is_not_served_is_refused_with_its_file() {
    for (config, says) in [
        (r#"{"pooling_mode": "weightedmean"}"#, "weightedmean"),
        (r#"{"pooling_mode_weightedmean_tokens": true}"#, "weighted mean"),
        (r#"{"pooling_mode_cls_token": true, "pooling_mode_max_tokens": true}"#, "several"),
        ("{}", "no way"),
    ] {
        let error = pooled(config, false).unwrap_err().to_string();
        assert!(error.contains("1_Pooling/config.json") && error.contains(says), "{error}");
    }
}

#[test]
fn padding_on_the_left_changes_nothing() {
    let files = [
        ("config.json", EMBED),
        ("tokenizer_config.json", r#"{"padding_side": "left", "pad_token": {"content": "d"}}"#),
    ];
    let model = open("tokens", &files);
    assert_eq!(floats(&run(&*model, &["b b b", "a"])[0])[3..], [3.0, -3.0, 1.0]);
}

#[test]
fn a_graph_of_one_length_gets_texts_of_that_length() {
    let model = open("four", &[("config.json", EMBED)]);
    // It has no mask, but only the tokens that are there are pooled. Two fit beside the ends.
    assert_eq!(floats(&run(&*model, &["a", "a b c"])[0]), [3.0, -3.0, 1.0, 3.5, -3.5, 1.0]);
}

#[test]
fn thousands_of_texts_come_back_in_their_places() {
    let raw = r#"{"architectures": ["XForSequenceClassification"], "problem_type": "regression"}"#;
    let model = open("classes", &[("config.json", raw)]);
    let many: Vec<String> = (0..3000_usize).map(|i| "a ".repeat(i * 7 % 40)).collect();
    let given: Vec<&str> = many.iter().map(String::as_str).collect();
    let found = floats(&run(&*model, &given)[2]);
    for i in 0..3000_usize {
        assert_eq!(found[3 * i], 5.0 + 4.0 * (i * 7 % 40) as f32, "text {i}");
    }
}

#[test]
fn entities_are_joined_as_their_labels_say() {
    // The highest value: a token's number is always above 1 and its negative.
    let config = r#"{"architectures": ["BertForTokenClassification"], "id2label": {"0": "B-X", "1": "O", "2": "I-X"}}"#;
    let model = open("tags", &[("config.json", config)]);
    assert_eq!(model.answer(), AnswerForm::Array);
    let out = words(&run(&*model, &["ä a  b", "", "d"])[0]);
    let found: Vec<serde_json::Value> = out.iter().map(|o| serde_json::from_str(o).unwrap()).collect();
    // Each begins with B-, so none is joined to the one before; offsets count characters, and what the
    // vocabulary lacks ("ä", the number 1) is shown as it is in the text.
    let parts: Vec<(&str, u64, u64)> = found[0]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["word"].as_str().unwrap(), e["start"].as_u64().unwrap(), e["end"].as_u64().unwrap()))
        .collect();
    assert_eq!(parts, [("ä", 0, 1), ("a", 2, 3), ("b", 5, 6)]);
    assert_eq!(found[0][1]["entity_group"], "X");
    assert_eq!((found[1].as_array().unwrap().len(), found[2].as_array().unwrap().len()), (0, 1));
    let inside = r#"{"architectures": ["BertForTokenClassification"], "id2label": {"0": "I-X", "1": "O", "2": "B-X"}}"#;
    let out = words(&run(&*open("tags", &[("config.json", inside)]), &["a b"])[0]);
    let found: serde_json::Value = serde_json::from_str(&out[0]).unwrap();
    assert_eq!((&found[0]["word"], &found[0]["end"]), (&"a b".into(), &3.into()));
}

#[test]
fn bytes_that_are_no_text_are_the_callers_fault() {
    let model = open("classes", &[("config.json", CLASSES)]);
    let tensor = Tensor::from_strings(vec![2], vec!["a".into(), Bytes::from_static(b"\xff")]).unwrap();
    let error = model.run(&[NamedTensor { name: "text".into(), tensor }], &RunCx::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("text 1"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_served_names_the_file_and_the_reason() {
    let masked = r#"{"architectures": ["BertForMaskedLM"]}"#;
    let two = r#"{"architectures": ["BertForSequenceClassification"], "id2label": {"0": "low", "1": "high"}}"#;
    let gap = r#"{"architectures": ["BertForSequenceClassification"], "id2label": {"0": "low", "2": "high"}}"#;
    let short = r#"{"architectures": ["BertModel"], "max_position_embeddings": 2}"#;
    for (graph, config, file, says) in [
        ("tokens", masked, "config.json", "BertForMaskedLM"),
        ("tokens", "{", "config.json", "EOF"),
        ("classes", two, "model.onnx", "names 2 classes"),
        ("classes", gap, "config.json", "class 1"),
        ("tokens", CLASSES, "model.onnx", "last_hidden_state"),
        ("classes", "{}", "model.onnx", "architectures"),
        ("tokens", short, "model.onnx", "2 tokens"),
        ("one", EMBED, "model.onnx", "dynamic_shapes"),
        ("pixels", EMBED, "model.onnx", "pixel_values"),
    ] {
        let error = load(&folder(graph, &[("config.json", config)])).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains(says), "{graph} {config}: {error}");
    }
    let broken = load(&folder("tokens", &[("config.json", EMBED), ("tokenizer.json", "{}")])).unwrap_err().to_string();
    assert!(broken.contains("tokenizer.json"), "{broken}");
}

#[test]
fn scores_of_huge_and_of_no_numbers() {
    let mut row = [1e30_f32, 1e30, -1e30];
    score(Scores::Softmax, &mut row);
    assert_eq!(row, [0.5, 0.5, 0.0]);
    assert_eq!(highest(&row), 0);
    assert_eq!(highest(&[f32::NAN, 1.0]), 0);
    assert_eq!(highest(&[]), 0);
}
