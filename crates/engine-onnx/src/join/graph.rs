//! A graph of `onnx.proto`, as far as columns are concerned.

use super::edit::{Field, fields, numbers};
use crate::types::of_file;
use mainspring_core::DType;
use std::collections::HashMap;

/// Numbers of fields in `onnx.proto`.
pub(super) mod number {
    pub(in crate::join) const MODEL_GRAPH: u64 = 7;
    pub(in crate::join) const GRAPH_NODE: u64 = 1;
    pub(in crate::join) const GRAPH_INITIALIZER: u64 = 5;
    pub(in crate::join) const GRAPH_INPUT: u64 = 11;
    pub(in crate::join) const GRAPH_OUTPUT: u64 = 12;
    pub(in crate::join) const GRAPH_VALUE_INFO: u64 = 13;
    pub(in crate::join) const GRAPH_SPARSE_INITIALIZER: u64 = 15;
    pub(in crate::join) const NODE_INPUT: u64 = 1;
    pub(in crate::join) const NODE_OUTPUT: u64 = 2;
    pub(in crate::join) const NODE_OPERATOR: u64 = 4;
    pub(in crate::join) const NODE_ATTRIBUTE: u64 = 5;
    pub(in crate::join) const NODE_DOMAIN: u64 = 7;
    pub(in crate::join) const ATTRIBUTE_NAME: u64 = 1;
    pub(in crate::join) const ATTRIBUTE_NUMBER: u64 = 3;
    pub(in crate::join) const ATTRIBUTE_GRAPH: u64 = 6;
    pub(in crate::join) const ATTRIBUTE_NUMBERS: u64 = 8;
    pub(in crate::join) const ATTRIBUTE_GRAPHS: u64 = 11;
    pub(in crate::join) const INFO_NAME: u64 = 1;
    pub(in crate::join) const INFO_TYPE: u64 = 2;
    pub(in crate::join) const TYPE_TENSOR: u64 = 1;
    pub(in crate::join) const TENSOR_ELEMENT: u64 = 1;
    pub(in crate::join) const TENSOR_SHAPE: u64 = 2;
    pub(in crate::join) const SHAPE_DIMENSION: u64 = 1;
    pub(in crate::join) const DIMENSION_VALUE: u64 = 1;
    /// Of `TensorProto`, whose name another number has than that of the rest.
    pub(in crate::join) const VALUES_DIMENSIONS: u64 = 1;
    pub(in crate::join) const VALUES_ELEMENT: u64 = 2;
    pub(in crate::join) const VALUES_NUMBERS: u64 = 7;
    pub(in crate::join) const VALUES_NAME: u64 = 8;
    pub(in crate::join) const VALUES_RAW: u64 = 9;
    /// Of `SparseTensorProto`: a `TensorProto`.
    pub(in crate::join) const SPARSE_VALUES: u64 = 1;
}

/// Graphs in graphs beyond this are left as they are.
const MAX_DEPTH: u32 = 64;

/// A node of the graph.
#[derive(Default)]
pub(super) struct Node<'a> {
    operator: &'a str,
    domain: &'a str,
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    attributes: Vec<Vec<Field<'a>>>,
}

impl<'a> Node<'a> {
    fn of(message: &'a [u8]) -> Option<Self> {
        let mut node = Self::default();
        for field in fields(message)? {
            match field.number {
                number::NODE_INPUT => node.inputs.push(field.text()?),
                number::NODE_OUTPUT => node.outputs.push(field.text()?),
                number::NODE_OPERATOR => node.operator = field.text()?,
                number::NODE_DOMAIN => node.domain = field.text()?,
                number::NODE_ATTRIBUTE => node.attributes.push(fields(field.bytes()?)?),
                _ => {}
            }
        }
        Some(node)
    }

    /// Whether it is this operator of ONNX itself.
    pub(super) fn is(&self, operator: &str) -> bool {
        self.operator == operator && matches!(self.domain, "" | "ai.onnx")
    }

    /// Whether it is this operator of `ai.onnx.ml`.
    pub(super) fn is_ml(&self, operator: &str) -> bool {
        self.operator == operator && self.domain == "ai.onnx.ml"
    }

    /// The numbers of an attribute; empty when it has none.
    pub(super) fn numbers(&self, name: &str) -> Option<Vec<u64>> {
        let mut found = Vec::new();
        let named = |attribute: &&Vec<Field<'_>>| {
            attribute.iter().any(|f| f.number == number::ATTRIBUTE_NAME && f.text() == Some(name))
        };
        for field in self.attributes.iter().filter(named).flatten() {
            if matches!(field.number, number::ATTRIBUTE_NUMBER | number::ATTRIBUTE_NUMBERS) {
                numbers(field, &mut found)?;
            }
        }
        Some(found)
    }
}

/// How often the nodes of a graph use each name, its outputs and the graphs in it included.
#[derive(Default)]
pub(super) struct Uses<'a> {
    all: HashMap<&'a str, u32>,
    /// Of them, where a `CastLike` asks for the type alone.
    pub types: HashMap<&'a str, u32>,
}

impl<'a> Uses<'a> {
    fn count(&mut self, graph: &[Field<'a>], depth: u32) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        for field in graph {
            match field.number {
                number::GRAPH_OUTPUT => *self.all.entry(name(field.bytes()?)?).or_default() += 1,
                number::GRAPH_NODE => {
                    let node = Node::of(field.bytes()?)?;
                    for (i, input) in node.inputs.iter().enumerate() {
                        *self.all.entry(input).or_default() += 1;
                        if depth == 0 && i == 1 && node.is("CastLike") {
                            *self.types.entry(input).or_default() += 1;
                        }
                    }
                    for field in node.attributes.iter().flatten() {
                        if matches!(field.number, number::ATTRIBUTE_GRAPH | number::ATTRIBUTE_GRAPHS) {
                            self.count(&fields(field.bytes()?)?, depth + 1)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    /// Whether one node alone takes its values.
    pub(super) fn once(&self, name: &str) -> bool {
        self.all.get(name).copied().unwrap_or(0) == 1 + self.types.get(name).copied().unwrap_or(0)
    }
}

/// The name in a `ValueInfoProto`.
pub(super) fn name(info: &[u8]) -> Option<&str> {
    fields(info)?.into_iter().find(|f| f.number == number::INFO_NAME)?.text()
}

/// An input of the graph.
pub(super) struct Input<'a> {
    pub name: &'a str,
    /// When it is a column.
    pub column: Option<Shape<'a>>,
}

/// A column's type: rows, as many as come, of one value or of so many.
#[derive(Clone, Copy)]
pub(super) struct Shape<'a> {
    pub dtype: DType,
    /// Values of a row; `None` where rows are the only dimension.
    pub width: Option<usize>,
    /// The message of its first dimension, which may have a name.
    pub rows: &'a [u8],
}

impl<'a> Shape<'a> {
    fn of(info: &'a [u8]) -> Option<Self> {
        let within =
            |message: &'a [u8], number: u64| fields(message)?.into_iter().find(|f| f.number == number)?.bytes();
        let tensor = fields(within(within(info, number::INFO_TYPE)?, number::TYPE_TENSOR)?)?;
        let mut elements = Vec::new();
        numbers(tensor.iter().find(|f| f.number == number::TENSOR_ELEMENT)?, &mut elements)?;
        let shape = fields(tensor.iter().find(|f| f.number == number::TENSOR_SHAPE)?.bytes()?)?;
        let dimensions = shape.iter().filter(|f| f.number == number::SHAPE_DIMENSION).map(Field::bytes);
        let dimensions: Vec<&[u8]> = dimensions.collect::<Option<_>>()?;
        let (rows, width) = match dimensions[..] {
            [rows] => (rows, None),
            [rows, values] => (rows, Some(usize::try_from(length(values)?).ok().filter(|width| *width > 0)?)),
            _ => return None,
        };
        let free = fields(rows)?.iter().all(|f| f.number != number::DIMENSION_VALUE);
        free.then_some(Self { dtype: of_file(*elements.first()?)?, width, rows })
    }
}

/// The length that a dimension has.
fn length(dimension: &[u8]) -> Option<u64> {
    let mut value = Vec::new();
    numbers(fields(dimension)?.iter().find(|f| f.number == number::DIMENSION_VALUE)?, &mut value)?;
    value.pop()
}

/// A graph as it is looked at.
pub(super) struct Graph<'a> {
    /// What has to be given, in its order.
    pub inputs: Vec<Input<'a>>,
    /// By place among the graph's fields.
    pub nodes: HashMap<usize, Node<'a>>,
    /// By its name, the place of what has to be given.
    pub given: HashMap<&'a str, usize>,
    /// By what each makes, the place of a node.
    makers: HashMap<&'a str, usize>,
    /// By name, what is in the file.
    values: HashMap<&'a str, Vec<Field<'a>>>,
    pub uses: Uses<'a>,
}

impl<'a> Graph<'a> {
    pub(super) fn of(graph: &[Field<'a>]) -> Option<Self> {
        let mut values = HashMap::new();
        for field in graph {
            let tensor = match field.number {
                number::GRAPH_INITIALIZER => fields(field.bytes()?)?,
                number::GRAPH_SPARSE_INITIALIZER => {
                    fields(fields(field.bytes()?)?.iter().find(|f| f.number == number::SPARSE_VALUES)?.bytes()?)?
                }
                _ => continue,
            };
            let name = tensor.iter().find(|f| f.number == number::VALUES_NAME).and_then(Field::text);
            values.extend(name.map(|name| (name, tensor)));
        }
        let (mut inputs, mut nodes, mut makers, mut uses) =
            (Vec::new(), HashMap::new(), HashMap::new(), Uses::default());
        for (place, field) in graph.iter().enumerate() {
            match field.number {
                number::GRAPH_INPUT => {
                    let info = field.bytes()?;
                    let name = name(info)?;
                    // What has a default is not asked for.
                    if !values.contains_key(name) {
                        inputs.push(Input { name, column: Shape::of(info) });
                    }
                }
                number::GRAPH_NODE => {
                    let node = Node::of(field.bytes()?)?;
                    makers.extend(node.outputs.iter().map(|output| (*output, place)));
                    nodes.insert(place, node);
                }
                _ => {}
            }
        }
        uses.count(graph, 0)?;
        let given = inputs.iter().enumerate().map(|(at, input): (usize, &Input<'a>)| (input.name, at)).collect();
        Some(Self { inputs, nodes, given, makers, values, uses })
    }

    /// The node that makes a value, and its place; `None` for what is given or in the file.
    pub(super) fn maker(&self, name: &str) -> Option<(usize, &Node<'a>)> {
        let place = self.makers.get(name)?;
        Some((*place, self.nodes.get(place)?))
    }

    /// Whether the shape that a `Reshape` is given is this one.
    pub(super) fn reshapes(&self, node: &Node<'a>, to: [i64; 2]) -> bool {
        let said = || {
            let [_, shape] = node.inputs[..] else { return None };
            let mut said = Vec::new();
            for field in self.values.get(shape)? {
                match field.number {
                    number::VALUES_NUMBERS => numbers(field, &mut said)?,
                    number::VALUES_RAW => {
                        let (whole, []) = field.bytes()?.as_chunks::<8>() else { return None };
                        said.extend(whole.iter().map(|bytes| u64::from_le_bytes(*bytes)));
                    }
                    _ => {}
                }
            }
            Some(said)
        };
        node.is("Reshape") && said().is_some_and(|said| said == to.map(i64::cast_unsigned))
    }
}
