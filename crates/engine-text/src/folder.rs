//! What the files beside a graph say of it: `config.json` and `tokenizer_config.json` of
//! `transformers`, `modules.json` and what it names of `sentence-transformers`.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use tokenizers::Tokenizer;

/// Tokens of a text when nothing says how many the model takes.
const LONGEST: usize = 512;
/// `model_max_length` of tokenizers that were given none is 10 to the 30th.
const NO_LIMIT: f64 = 1e7;
/// These number positions from the padding's id on, so that many are no positions of tokens.
const SHIFTED: [&str; 6] = ["roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "xlm-roberta-xl"];

/// What a model answers with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Task {
    /// A label for each text.
    Classify(Scores),
    /// Labels of parts of each text.
    Tag,
    /// A vector for each text.
    Embed {
        /// How the tokens' vectors become one.
        pooling: Pooling,
        /// Whether vectors are brought to length 1.
        normalize: bool,
    },
}

/// What becomes of a classifier's raw values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scores {
    Softmax,
    Sigmoid,
    Raw,
    /// Softmax, or the sigmoid when there is one label only.
    ByWidth,
}

/// How the vectors of tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pooling {
    Mean,
    Cls,
    Max,
    #[serde(rename = "mean_sqrt_len_tokens")]
    MeanSqrt,
    LastToken,
}

/// The side of a text at which it is padded or cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    Left,
    #[default]
    Right,
}

/// A model's folder, read.
#[derive(Debug)]
pub(crate) struct Folder {
    pub tokenizer: Tokenizer,
    pub task: Task,
    /// Names of the classes; empty when the configuration names none.
    pub labels: Vec<String>,
    /// Tokens of a text, with those that mark its ends.
    pub longest: usize,
    pub pad: Pad,
    pub cut: Side,
    /// Bytes of the tokenizer's file.
    pub bytes: u64,
}

/// What fills the rows of shorter texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pad {
    pub id: u32,
    pub type_id: u32,
    pub side: Side,
}

#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    id2label: Option<BTreeMap<String, String>>,
    #[serde(default)]
    problem_type: Option<String>,
    #[serde(default)]
    max_position_embeddings: Option<usize>,
    #[serde(default)]
    model_type: Option<String>,
    #[serde(default)]
    pad_token_id: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
struct TokenizerConfig {
    #[serde(default)]
    model_max_length: Option<f64>,
    #[serde(default)]
    pad_token: Option<Token>,
    #[serde(default)]
    pad_token_type_id: Option<u32>,
    #[serde(default)]
    padding_side: Side,
    #[serde(default)]
    truncation_side: Side,
}

/// A special token: its text, or an object with more about it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Whole { content: String },
}

#[derive(Debug, Deserialize)]
struct Module {
    #[serde(default)]
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Default, Deserialize)]
struct SentenceConfig {
    #[serde(default)]
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: Option<bool>,
}

/// Both ways in which sentence-transformers has written it: by name, and a truth value for each.
#[derive(Debug, Deserialize)]
struct PoolingConfig {
    #[serde(default)]
    pooling_mode: Option<Pooling>,
    #[serde(default, rename = "pooling_mode_cls_token")]
    cls: bool,
    #[serde(default, rename = "pooling_mode_mean_tokens")]
    mean: bool,
    #[serde(default, rename = "pooling_mode_max_tokens")]
    max: bool,
    #[serde(default, rename = "pooling_mode_mean_sqrt_len_tokens")]
    mean_sqrt: bool,
    #[serde(default, rename = "pooling_mode_weightedmean_tokens")]
    weighted: bool,
    #[serde(default, rename = "pooling_mode_lasttoken")]
    last: bool,
}

/// The file at fault and the reason.
type Fault = (PathBuf, String);

impl Folder {
    /// Reads the folder `root`.
    ///
    /// # Errors
    /// The file at fault, and why the model in it cannot be served.
    pub fn read(root: &Path) -> Result<Self, Fault> {
        let path = root.join("tokenizer.json");
        let bytes = std::fs::read(&path).map_err(|e| (path.clone(), e.to_string()))?;
        let tokenizer =
            Tokenizer::from_bytes(&bytes).map_err(|e| (path.clone(), format!("it is no tokenizer: {e}")))?;
        let config: Config = needed(&root.join("config.json"))?;
        let about: TokenizerConfig = json(&root.join("tokenizer_config.json"))?.unwrap_or_default();
        let sentence: SentenceConfig = json(&root.join("sentence_bert_config.json"))?.unwrap_or_default();
        if sentence.do_lower_case == Some(true) {
            let reason = "do_lower_case is not served: let the tokenizer's own normalizer do it";
            return Err((root.join("sentence_bert_config.json"), reason.into()));
        }
        Ok(Self {
            task: task(root, &config)?,
            labels: labels(&config).map_err(|reason| (root.join("config.json"), reason))?,
            longest: longest(&config, &about, &sentence),
            pad: pad(&tokenizer, &config, &about),
            cut: about.truncation_side,
            bytes: bytes.len() as u64,
            tokenizer,
        })
    }
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Fault> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| (path.to_owned(), e.to_string())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err((path.to_owned(), e.to_string())),
    }
}

fn needed<T: DeserializeOwned>(path: &Path) -> Result<T, Fault> {
    json(path)?.ok_or_else(|| (path.to_owned(), "there is no such file".into()))
}

fn task(root: &Path, config: &Config) -> Result<Task, Fault> {
    if let Some(modules) = json::<Vec<Module>>(&root.join("modules.json"))? {
        return sentences(root, &modules);
    }
    let architecture = config.architectures.as_deref().and_then(<[String]>::first).map_or("", String::as_str);
    if architecture.ends_with("ForSequenceClassification") {
        return Ok(Task::Classify(match config.problem_type.as_deref() {
            Some("regression") => Scores::Raw,
            Some("multi_label_classification") => Scores::Sigmoid,
            _ => Scores::ByWidth,
        }));
    }
    if architecture.ends_with("ForTokenClassification") {
        return Ok(Task::Tag);
    }
    if architecture.is_empty() || architecture.ends_with("Model") {
        return Ok(Task::Embed { pooling: Pooling::Mean, normalize: false });
    }
    Err((
        root.join("config.json"),
        format!(
            "it is a {architecture}; of language models, text classification (…ForSequenceClassification), token \
             classification (…ForTokenClassification) and embeddings (…Model, or a folder of sentence-transformers) are \
             served. Take tokenizer.json out of the folder to serve the graph's own tensors"
        ),
    ))
}

/// The chain of a `sentence-transformers` model.
fn sentences(root: &Path, modules: &[Module]) -> Result<Task, Fault> {
    let (mut pooling, mut normalize) = (None, false);
    for (place, module) in modules.iter().enumerate() {
        match (place, module.kind.rsplit('.').next().unwrap_or_default()) {
            (0, "Transformer") => {}
            (1, "Pooling") => {
                let inside = Path::new(&module.path).components().all(|c| matches!(c, Component::Normal(_)));
                let path = root.join(if inside { &module.path } else { "1_Pooling" }).join("config.json");
                let config: PoolingConfig = needed(&path)?;
                pooling = Some(only(&config).map_err(|reason| (path, reason))?);
            }
            (2, "Normalize") => normalize = true,
            (_, other) => {
                let reason = format!(
                    "a module {other} in place {place} is not served; Transformer, Pooling and Normalize in this order are"
                );
                return Err((root.join("modules.json"), reason));
            }
        }
    }
    let pooling = pooling.ok_or_else(|| (root.join("modules.json"), "it has no Pooling".into()))?;
    Ok(Task::Embed { pooling, normalize })
}

fn only(config: &PoolingConfig) -> Result<Pooling, String> {
    if let Some(pooling) = config.pooling_mode {
        return Ok(pooling);
    }
    let flags = [
        (config.cls, Some(Pooling::Cls)),
        (config.mean, Some(Pooling::Mean)),
        (config.max, Some(Pooling::Max)),
        (config.mean_sqrt, Some(Pooling::MeanSqrt)),
        (config.last, Some(Pooling::LastToken)),
        (config.weighted, None),
    ];
    let mut chosen = flags.iter().filter(|(on, _)| *on).map(|(_, pooling)| *pooling);
    match (chosen.next(), chosen.next()) {
        (Some(Some(pooling)), None) => Ok(pooling),
        (Some(None), _) => Err("a weighted mean of tokens is not served".into()),
        (None, _) => Err("it chooses no way of pooling".into()),
        (Some(_), Some(_)) => Err("several ways of pooling side by side are not served".into()),
    }
}

/// The classes in the order of their numbers.
fn labels(config: &Config) -> Result<Vec<String>, String> {
    let Some(named) = &config.id2label else { return Ok(Vec::new()) };
    (0..named.len())
        .map(|id| named.get(&id.to_string()).cloned().ok_or_else(|| format!("id2label does not name the class {id}")))
        .collect()
}

fn longest(config: &Config, about: &TokenizerConfig, sentence: &SentenceConfig) -> usize {
    let said = about.model_max_length.filter(|n| *n >= 1.0 && *n < NO_LIMIT).map(|n| n as usize);
    let positions = config.max_position_embeddings.filter(|n| *n > 0).map(|n| {
        let shifted = config.model_type.as_deref().is_some_and(|m| SHIFTED.contains(&m));
        if shifted { n.saturating_sub(config.pad_token_id.unwrap_or(1) as usize + 1) } else { n }
    });
    let wanted = sentence.max_seq_length.or(said);
    match (wanted, positions) {
        (Some(wanted), Some(positions)) => wanted.min(positions),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => LONGEST,
    }
}

fn pad(tokenizer: &Tokenizer, config: &Config, about: &TokenizerConfig) -> Pad {
    let named = about.pad_token.as_ref().map(|token| match token {
        Token::Text(text) | Token::Whole { content: text } => text.as_str(),
    });
    let own = tokenizer.get_padding();
    let id = named.and_then(|text| tokenizer.token_to_id(text)).or(own.map(|p| p.pad_id)).or(config.pad_token_id);
    let type_id = about.pad_token_type_id.or(own.map(|p| p.pad_type_id));
    Pad { id: id.unwrap_or(0), type_id: type_id.unwrap_or(0), side: about.padding_side }
}
