//! What each search may name, compare and order by, and the checked clauses that come out.

use super::parser::{Comparison, Name, Op, Raw, parse_filter, parse_order};
use crate::error::{RegistryError, Result};

/// What a name stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// A column of the thing itself, by its column name.
    Attribute(&'static str),
    /// A metric by key.
    Metric(String),
    /// A param by key.
    Param(String),
    /// A tag by key.
    Tag(String),
    /// `name`, `digest` or `context` of a dataset input.
    Dataset(&'static str),
}

/// The checked right side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// Nothing: `IS NULL`.
    None,
    /// A whole number.
    Int(i64),
    /// Any other number.
    Real(f64),
    /// Text.
    Text(String),
    /// Texts of an `IN`.
    List(Vec<String>),
}

/// A checked comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Clause {
    /// What is compared.
    pub field: Field,
    /// How.
    pub op: Op,
    /// With what.
    pub value: Operand,
}

/// A checked entry of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// By what.
    pub field: Field,
    /// Smallest first.
    pub ascending: bool,
}

/// The type of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text without lists.
    Text,
    /// Text that may be compared with a list.
    Listed,
    /// An id that is a number but is written as text; lists allowed, no patterns.
    Id,
    /// A whole number.
    Number,
}

/// One attribute: the names it goes by, its column and its type.
#[derive(Debug)]
pub struct Attribute {
    names: &'static [&'static str],
    column: &'static str,
    kind: Kind,
    filter: bool,
    order: bool,
}

/// What one search knows.
#[derive(Debug)]
pub struct Vocabulary {
    attributes: &'static [Attribute],
    metrics: bool,
    params: bool,
    datasets: bool,
    /// Whether `IS NULL` is known, for tags and params.
    nulls: bool,
    /// Whether tags and params may be compared with lists.
    lists: bool,
}

const fn attribute(names: &'static [&'static str], column: &'static str, kind: Kind) -> Attribute {
    Attribute { names, column, kind, filter: true, order: true }
}

const fn order_only(names: &'static [&'static str], column: &'static str) -> Attribute {
    Attribute { names, column, kind: Kind::Number, filter: false, order: true }
}

const fn filter_only(names: &'static [&'static str], column: &'static str, kind: Kind) -> Attribute {
    Attribute { names, column, kind, filter: true, order: false }
}

/// Runs.
pub static RUNS: Vocabulary = Vocabulary {
    attributes: &[
        attribute(&["run_id"], "run_id", Kind::Listed),
        attribute(&["run_name", "run name", "Run name", "Run Name"], "name", Kind::Text),
        attribute(&["user_id"], "user_id", Kind::Text),
        attribute(&["status"], "status", Kind::Text),
        attribute(&["artifact_uri"], "artifact_uri", Kind::Text),
        attribute(&["start_time", "created", "Created"], "start_time", Kind::Number),
        attribute(&["end_time"], "end_time", Kind::Number),
    ],
    metrics: true,
    params: true,
    datasets: true,
    nulls: true,
    lists: false,
};

/// Experiments.
pub static EXPERIMENTS: Vocabulary = Vocabulary {
    attributes: &[
        attribute(&["name"], "name", Kind::Text),
        attribute(&["experiment_id"], "experiment_id", Kind::Id),
        attribute(&["creation_time"], "creation_time", Kind::Number),
        attribute(&["last_update_time"], "last_update_time", Kind::Number),
    ],
    metrics: false,
    params: false,
    datasets: false,
    nulls: true,
    lists: false,
};

/// Registered models.
pub static MODELS: Vocabulary = Vocabulary {
    attributes: &[
        attribute(&["name"], "name", Kind::Listed),
        order_only(&["timestamp", "last_updated_timestamp"], "last_updated_time"),
    ],
    metrics: false,
    params: false,
    datasets: false,
    nulls: false,
    lists: false,
};

/// Model versions.
pub static VERSIONS: Vocabulary = Vocabulary {
    attributes: &[
        attribute(&["name"], "name", Kind::Listed),
        attribute(&["version_number"], "version", Kind::Number),
        filter_only(&["run_id"], "run_id", Kind::Listed),
        filter_only(&["source_path"], "source", Kind::Text),
        order_only(&["creation_timestamp"], "creation_time"),
        order_only(&["last_updated_timestamp"], "last_updated_time"),
    ],
    metrics: false,
    params: false,
    datasets: false,
    nulls: false,
    lists: false,
};

/// Logged models.
pub static LOGGED_MODELS: Vocabulary = Vocabulary {
    attributes: &[
        attribute(&["name"], "name", Kind::Listed),
        attribute(&["model_id"], "model_id", Kind::Listed),
        attribute(&["model_type"], "model_type", Kind::Listed),
        attribute(&["status"], "status", Kind::Listed),
        attribute(&["source_run_id"], "source_run_id", Kind::Listed),
        attribute(&["artifact_location"], "artifact_uri", Kind::Listed),
        attribute(&["creation_timestamp", "creation_time", "creation_timestamp_ms"], "creation_time", Kind::Number),
        attribute(
            &["last_updated_timestamp", "last_updated_time", "last_updated_timestamp_ms"],
            "last_updated_time",
            Kind::Number,
        ),
    ],
    metrics: true,
    params: true,
    datasets: false,
    nulls: false,
    lists: true,
};

/// Each comparison and each entry of an order may be one more table of a join, of which SQLite takes 64.
const MAX_CLAUSES: usize = 48;
const MAX_ORDERS: usize = 12;

const NUMERIC: &[Op] = &[Op::Gt, Op::Ge, Op::Ne, Op::Eq, Op::Lt, Op::Le];
const TEXT: &[Op] = &[Op::Ne, Op::Eq, Op::Like, Op::ILike];
const TEXT_NULL: &[Op] = &[Op::Ne, Op::Eq, Op::Like, Op::ILike, Op::IsNull, Op::IsNotNull];
const TEXT_LIST: &[Op] = &[Op::Ne, Op::Eq, Op::Like, Op::ILike, Op::In, Op::NotIn];
const ID: &[Op] = &[Op::Ne, Op::Eq, Op::In, Op::NotIn];

fn allowed(op: Op, ops: &[Op]) -> Result<()> {
    if ops.contains(&op) {
        return Ok(());
    }
    let names: Vec<&str> = ops.iter().map(|o| o.as_str()).collect();
    Err(RegistryError::Invalid(format!("Invalid comparator '{}' not one of '{names:?}'", op.as_str())))
}

impl Vocabulary {
    /// Reads and checks a filter.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] with the clause at fault.
    pub fn filter(&self, text: &str) -> Result<Vec<Clause>> {
        let clauses = parse_filter(text)?;
        if clauses.len() > MAX_CLAUSES {
            return Err(RegistryError::Invalid(format!(
                "The filter has {} comparisons; at most {MAX_CLAUSES} are taken",
                clauses.len()
            )));
        }
        clauses.into_iter().map(|c| self.clause(c)).collect()
    }

    /// Reads and checks an order.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] with the entry at fault, or when a field comes twice.
    pub fn order(&self, entries: &[String]) -> Result<Vec<Order>> {
        if entries.len() > MAX_ORDERS {
            return Err(RegistryError::Invalid(format!(
                "`order_by` has {} entries; at most {MAX_ORDERS} are taken",
                entries.len()
            )));
        }
        let mut out: Vec<Order> = Vec::with_capacity(entries.len());
        for text in entries {
            let (name, ascending) = parse_order(text)?;
            let field = self.field(&name, true)?;
            if matches!(field, Field::Dataset(_)) {
                return Err(RegistryError::invalid("Invalid identifier type 'dataset'"));
            }
            let plain = !self.metrics && !matches!(field, Field::Attribute(_));
            if plain {
                return Err(RegistryError::invalid("Invalid order_by entity: tag"));
            }
            if out.iter().any(|o| o.field == field) {
                return Err(RegistryError::Invalid(format!("`order_by` contains duplicate fields: {entries:?}")));
            }
            out.push(Order { field, ascending });
        }
        Ok(out)
    }

    fn attribute(&self, key: &str, order: bool) -> Result<&'static Attribute> {
        let usable = |a: &&Attribute| if order { a.order } else { a.filter };
        self.attributes.iter().filter(usable).find(|a| a.names.contains(&key)).ok_or_else(|| {
            let valid: Vec<&str> =
                self.attributes.iter().filter(usable).flat_map(|a| a.names.iter().copied()).collect();
            RegistryError::Invalid(format!("Invalid attribute key '{key}' specified. Valid keys are '{valid:?}'"))
        })
    }

    fn field(&self, name: &Name, order: bool) -> Result<Field> {
        let Some(entity) = name.entity.as_deref() else {
            return self.attribute(&name.key, order).map(|a| Field::Attribute(a.column));
        };
        match entity {
            "metric" | "metrics" if self.metrics => Ok(Field::Metric(name.key.clone())),
            "parameter" | "parameters" | "param" | "params" if self.params => Ok(Field::Param(name.key.clone())),
            "tag" | "tags" => Ok(Field::Tag(name.key.clone())),
            "attribute" | "attributes" | "attr" | "run" => {
                self.attribute(&name.key, order).map(|a| Field::Attribute(a.column))
            }
            "dataset" | "datasets" if self.datasets => {
                ["name", "digest", "context"].into_iter().find(|k| *k == name.key).map(Field::Dataset).ok_or_else(
                    || {
                        RegistryError::Invalid(format!(
                            "Invalid dataset key '{}' specified. Valid keys are '[\"name\", \"digest\", \"context\"]'",
                            name.key
                        ))
                    },
                )
            }
            other => {
                let mut valid = vec!["attribute", "tag"];
                valid.extend(self.metrics.then_some("metric"));
                valid.extend(self.params.then_some("parameter"));
                valid.extend(self.datasets.then_some("dataset"));
                Err(RegistryError::Invalid(format!("Invalid entity type '{other}'. Valid values are {valid:?}")))
            }
        }
    }

    fn kind(&self, column: &str) -> Kind {
        self.attributes.iter().find(|a| a.column == column).map_or(Kind::Text, |a| a.kind)
    }

    fn clause(&self, c: Comparison) -> Result<Clause> {
        let field = self.field(&c.name, false)?;
        let null = matches!(c.op, Op::IsNull | Op::IsNotNull);
        if null && !(self.nulls && matches!(field, Field::Tag(_) | Field::Param(_))) {
            return Err(RegistryError::Invalid(format!(
                "IS NULL / IS NOT NULL is only supported for tags and params, not for '{}'",
                c.name.key
            )));
        }
        let value = match &field {
            Field::Metric(_) => {
                allowed(c.op, NUMERIC)?;
                metric_value(&c.value)?
            }
            Field::Param(_) | Field::Tag(_) => {
                let ops = match (self.lists, self.nulls) {
                    (true, _) => TEXT_LIST,
                    (_, true) => TEXT_NULL,
                    _ => TEXT,
                };
                allowed(c.op, ops)?;
                text_value(c.value, &c.name.key)?
            }
            Field::Dataset(_) => {
                allowed(c.op, TEXT_LIST)?;
                text_value(c.value, &c.name.key)?
            }
            Field::Attribute(column) => self.attribute_value(column, c.op, c.value)?,
        };
        Ok(Clause { field, op: c.op, value })
    }

    fn attribute_value(&self, column: &'static str, op: Op, value: Raw) -> Result<Operand> {
        let kind = self.kind(column);
        if matches!(value, Raw::List(_)) && kind == Kind::Text {
            let listed: Vec<&str> = self
                .attributes
                .iter()
                .filter(|a| a.filter && matches!(a.kind, Kind::Listed | Kind::Id))
                .flat_map(|a| a.names.iter().copied())
                .collect();
            return Err(RegistryError::Invalid(format!(
                "Only {listed:?} attributes support comparison with a list of quoted string values."
            )));
        }
        match kind {
            Kind::Number => {
                allowed(op, NUMERIC)?;
                number_value(&value, column)
            }
            Kind::Text => {
                allowed(op, TEXT)?;
                text_value(value, column)
            }
            Kind::Listed => {
                allowed(op, TEXT_LIST)?;
                text_value(value, column)
            }
            Kind::Id => {
                allowed(op, ID)?;
                let text = text_value(value, column)?;
                match &text {
                    Operand::Text(t) => {
                        crate::validate::experiment_id(t)?;
                    }
                    Operand::List(all) => {
                        for t in all {
                            crate::validate::experiment_id(t)?;
                        }
                    }
                    _ => {}
                }
                Ok(text)
            }
        }
    }
}

fn shown(value: &Raw) -> String {
    match value {
        Raw::None => String::new(),
        Raw::Number(t) | Raw::Bare(t) => t.clone(),
        Raw::Text(t) => format!("'{t}'"),
        Raw::List(items) => format!("{items:?}"),
    }
}

fn metric_value(value: &Raw) -> Result<Operand> {
    let number = match value {
        Raw::Number(n) => n.parse::<f64>().ok(),
        _ => None,
    };
    number.map(Operand::Real).ok_or_else(|| {
        RegistryError::Invalid(format!("Expected numeric value type for metric. Found {}", shown(value)))
    })
}

fn number_value(value: &Raw, key: &str) -> Result<Operand> {
    let number = match value {
        Raw::Number(n) => n.parse::<i64>().map(Operand::Int).or_else(|_| n.parse::<f64>().map(Operand::Real)).ok(),
        _ => None,
    };
    number.ok_or_else(|| {
        RegistryError::Invalid(format!(
            "Expected numeric value type for numeric attribute: {key}. Found {}",
            shown(value)
        ))
    })
}

fn text_value(value: Raw, key: &str) -> Result<Operand> {
    match value {
        Raw::None => Ok(Operand::None),
        Raw::Text(t) => Ok(Operand::Text(t)),
        Raw::List(items) => Ok(Operand::List(items)),
        Raw::Bare(t) => Err(RegistryError::Invalid(format!(
            "Parameter value is either not quoted or unidentified quote types used for string value {t}. Use either \
             single or double quotes."
        ))),
        Raw::Number(n) => Err(RegistryError::Invalid(format!(
            "Expected a quoted string value for {key} (e.g. 'my-value'). Got value {n}"
        ))),
    }
}
