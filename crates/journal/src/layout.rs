//! The columns of a sealed file.
//!
//! **Envelope, version 4**, the same in every file: `event_id` (text UUID), `row`, `at` (microseconds
//! UTC), `variant`, `model`, `version`, `protocol`, `client_id`, `forced`, `propensity`, `unit`,
//! `generation`, `context`, `shadow_of`, `outcome` (`ok`, `failed`), `error_kind`, `error`, `rows`, `batch_rows`, `queue_us`, `features_us`,
//! `engine_us`, `encode_us`, `total_us`, `flags` (rules that the row broke, with commas; of a refused request all of them),
//! `params` (JSON, with row 0), `payload` (`kept`, `dropped`, `absent`), `caller` (who asked, as audit names them: `key:…`,
//! `session:…`, `loopback`), `cached_from` (the prediction whose answer this is again; no engine was asked), `saved_us` (what
//! that one took of the engine), `tokens_in` and `tokens_out` (with row 0, where the model counts them; of a cached
//! answer not spent).
//! `tenant`, `kind`, `deployment` and `date` are Hive partitions: they stand in the path, not in the file. Version 1
//! had no `generation`, no `shadow_of` and no `params`, version 2 no `context`, no
//! `flags` and no `caller`, version 3 nothing after that; they are NULL where its files are read.
//!
//! **Payload**, one column a tensor, `in.<name>` and `out.<name>`:
//!
//! | tensor, for `r` rows | column |
//! |---|---|
//! | `[r]`, `[r, 1]` | a scalar of its type |
//! | `[r, n]`, `[r, a, b]` | `List` of its type, row-major |
//! | the one input `[r, n]` of a model whose signature names its `n` columns | a scalar column for each name |
//! | over 16 KiB a row | `<name>.digest`: `xxh3:…;FP32[3,224,224]` |
//! | no dimension of `r` | the whole tensor, with row 0 |
//!
//! FP16 and BF16 become 32-bit floats. BYTES become text, or binary when a value is not UTF-8. An
//! answered request has a line for each row; a failed one has one line.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use mainspring_core::{DType, NamedTensor, Prediction};
use std::collections::HashMap;
use std::sync::Arc;

/// Version of the envelope, in each Parquet file's metadata as `mainspring.envelope`.
pub const ENVELOPE_VERSION: u32 = 4;
/// Bytes of one row of a tensor above which only a digest is kept.
pub const DIGEST_OVER: usize = 16 << 10;
/// Columns that an input may become; a wider one stays a list.
const MAX_COLUMNS: usize = 1024;

/// How one tensor is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    Scalar,
    List,
    /// A scalar column for each name; at least two.
    Columns(Arc<[Arc<str>]>),
    Digest,
}

/// One tensor's place in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub name: Arc<str>,
    pub output: bool,
    pub dtype: DType,
    /// BYTES that are not all UTF-8.
    pub binary: bool,
    pub form: Form,
}

/// The columns of one event; events with equal layouts share batches and files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Layout {
    pub slots: Vec<Slot>,
}

/// Elements of one row, and whether the first dimension counts rows.
pub(crate) fn per_row(tensor: &NamedTensor, rows: usize) -> (usize, bool) {
    let t = &tensor.tensor;
    if t.shape().first() == Some(&rows) && rows > 0 { (t.len() / rows, true) } else { (t.len(), false) }
}

/// Whether of a tensor of numbers, in an event of `rows` rows, only a digest is kept.
pub(crate) fn is_digested(tensor: &NamedTensor, rows: usize) -> bool {
    let (n, _) = per_row(tensor, rows);
    tensor.tensor.dtype().size().is_some_and(|size| n * size > DIGEST_OVER)
}

/// How a tensor of `p` is stored, and whether it is BYTES that are not UTF-8.
fn form_of(tensor: &NamedTensor, output: bool, p: &Prediction) -> (Form, bool) {
    let t = &tensor.tensor;
    let (n, row_wise) = per_row(tensor, rows_of(p));
    let width = match t.strings() {
        None => n * t.dtype().size().unwrap_or(1),
        Some(s) if row_wise => s.chunks(n.max(1)).map(|c| c.iter().map(bytes::Bytes::len).sum()).max().unwrap_or(0),
        Some(s) => s.iter().map(bytes::Bytes::len).sum(),
    };
    if width > DIGEST_OVER {
        return (Form::Digest, false);
    }
    let binary = t.strings().is_some_and(|s| s.iter().any(|b| std::str::from_utf8(b).is_err()));
    let columns = &p.target.columns;
    let named = !output && p.inputs.len() == 1 && columns.len() == n && (2..=MAX_COLUMNS).contains(&n);
    let form = if n == 1 {
        Form::Scalar
    } else if named && row_wise && t.shape().len() == 2 {
        Form::Columns(Arc::clone(columns))
    } else {
        Form::List
    };
    (form, binary)
}

/// Rows that the tensors of `p` have.
pub(crate) fn rows_of(p: &Prediction) -> usize {
    p.rows.max(1) as usize
}

fn tensors(p: &Prediction) -> impl Iterator<Item = (&NamedTensor, bool)> {
    p.inputs.iter().map(|t| (t, false)).chain(p.outputs.iter().map(|t| (t, true)))
}

impl Layout {
    pub fn of(p: &Prediction) -> Self {
        let slots = tensors(p)
            .map(|(t, output)| {
                let (form, binary) = form_of(t, output, p);
                Slot { name: Arc::clone(&t.name), output, dtype: t.tensor.dtype(), binary, form }
            })
            .collect();
        Self { slots }
    }

    /// Whether `p` has this layout, without building its own.
    pub fn matches(&self, p: &Prediction) -> bool {
        self.slots.len() == p.inputs.len() + p.outputs.len()
            && self.slots.iter().zip(tensors(p)).all(|(slot, (t, output))| {
                slot.output == output && slot.dtype == t.tensor.dtype() && slot.name == t.name && {
                    let (form, binary) = form_of(t, output, p);
                    form == slot.form && binary == slot.binary
                }
            })
    }

    /// The columns, envelope first.
    pub fn schema(&self) -> SchemaRef {
        let mut fields = envelope_fields();
        for slot in &self.slots {
            let side = if slot.output { "out" } else { "in" };
            let item = slot.item_type();
            match &slot.form {
                Form::Scalar => fields.push(Field::new(format!("{side}.{}", slot.name), item, true)),
                Form::List => {
                    let list = DataType::List(Arc::new(Field::new("element", item, false)));
                    fields.push(Field::new(format!("{side}.{}", slot.name), list, true));
                }
                Form::Columns(names) => {
                    fields.extend(names.iter().map(|n| Field::new(format!("{side}.{n}"), item.clone(), true)));
                }
                Form::Digest => fields.push(Field::new(format!("{side}.{}.digest", slot.name), DataType::Utf8, true)),
            }
        }
        unique(&mut fields);
        Arc::new(Schema::new(fields))
    }
}

/// Two tensors may claim one column name; the later one gets a number.
fn unique(fields: &mut [Field]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for field in fields.iter_mut() {
        let count = seen.entry(field.name().clone()).or_default();
        *count += 1;
        if *count > 1 {
            let name = format!("{}#{count}", field.name());
            *field = field.clone().with_name(name);
        }
    }
}

impl Slot {
    /// The Arrow type of one element.
    pub fn item_type(&self) -> DataType {
        arrow_type(self.dtype, self.binary)
    }
}

/// How the journal's files hold an element of a tensor; `binary` says that bytes are no text.
pub fn arrow_type(dtype: DType, binary: bool) -> DataType {
    match dtype {
        DType::Bool => DataType::Boolean,
        DType::Uint8 => DataType::UInt8,
        DType::Uint16 => DataType::UInt16,
        DType::Uint32 => DataType::UInt32,
        DType::Uint64 => DataType::UInt64,
        DType::Int8 => DataType::Int8,
        DType::Int16 => DataType::Int16,
        DType::Int32 => DataType::Int32,
        DType::Int64 => DataType::Int64,
        DType::Fp16 | DType::Bf16 | DType::Fp32 => DataType::Float32,
        DType::Fp64 => DataType::Float64,
        DType::Bytes if binary => DataType::Binary,
        DType::Bytes => DataType::Utf8,
    }
}

/// The envelope's columns.
pub fn envelope_fields() -> Vec<Field> {
    let at = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let mut fields = vec![
        text("event_id", false),
        Field::new("row", DataType::Int32, false),
        Field::new("at", at, false),
        text("variant", false),
        text("model", false),
        text("version", false),
        text("protocol", false),
        text("client_id", true),
        Field::new("forced", DataType::Boolean, false),
        Field::new("propensity", DataType::Float32, false),
        Field::new("unit", DataType::UInt64, true),
        Field::new("generation", DataType::UInt64, true),
        Field::new("context", DataType::UInt16, true),
        text("shadow_of", true),
        text("outcome", false),
        text("error_kind", true),
        text("error", true),
        Field::new("rows", DataType::Int32, false),
        Field::new("batch_rows", DataType::Int32, false),
    ];
    fields.extend(
        ["queue_us", "features_us", "engine_us", "encode_us", "total_us"]
            .map(|n| Field::new(n, DataType::Float64, false)),
    );
    fields.push(text("flags", true));
    fields.push(text("params", true));
    fields.push(text("payload", false));
    // Files of earlier versions have none.
    fields.push(text("caller", true));
    fields.push(text("cached_from", true));
    fields.push(Field::new("saved_us", DataType::Float64, true));
    fields.push(Field::new("tokens_in", DataType::Int64, true));
    fields.push(Field::new("tokens_out", DataType::Int64, true));
    fields
}

/// The columns of feedback, kind `feedback`.
pub fn feedback_schema() -> SchemaRef {
    let at = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("event_id", DataType::Utf8, false),
        Field::new("at", at, false),
        Field::new("prediction_id", DataType::Utf8, true),
        Field::new("client_id", DataType::Utf8, true),
        Field::new("row", DataType::Int32, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, false),
        Field::new("value_type", DataType::Utf8, false),
        Field::new("value_number", DataType::Float64, true),
    ]))
}

/// The columns of gaps, kind `gap`: what is missing from the other kinds, and why. `compute_us` is what the answers
/// among it took of the engine, `tokens_in` and `tokens_out` what their models spent.
pub fn gap_schema() -> SchemaRef {
    let at = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("at", at.clone(), false),
        Field::new("until", at, false),
        Field::new("variant", DataType::Utf8, false),
        Field::new("model", DataType::Utf8, false),
        Field::new("version", DataType::Utf8, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("events", DataType::Int64, false),
        Field::new("failed", DataType::Int64, false),
        Field::new("payloads", DataType::Int64, false),
        Field::new("compute_us", DataType::Float64, true),
        Field::new("tokens_in", DataType::Int64, true),
        Field::new("tokens_out", DataType::Int64, true),
    ]))
}

/// The columns of decisions, kind `decision`. `numbers` is JSON.
pub fn decision_schema() -> SchemaRef {
    let at = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("event_id", DataType::Utf8, false),
        Field::new("at", at, false),
        Field::new("decided_by", DataType::Utf8, false),
        Field::new("sequence", DataType::Int64, false),
        Field::new("decision", DataType::Utf8, false),
        Field::new("sentence", DataType::Utf8, false),
        Field::new("numbers", DataType::Utf8, false),
    ]))
}

/// A stable name for a set of columns: 64-bit FNV-1a of their names and types.
pub fn fingerprint(schema: &Schema) -> u64 {
    let seed = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(ENVELOPE_VERSION);
    let hash =
        |seed: u64, text: &str| text.bytes().fold(seed, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
    schema.fields().iter().fold(seed, |h, f| hash(h, &format!("{}:{}\n", f.name(), f.data_type())))
}

#[cfg(test)]
mod tests;
