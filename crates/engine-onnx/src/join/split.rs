//! Which nodes only join columns, and the model without them.
//!
//! - `Concat` along the columns, and `FeatureVectorizer` of `ai.onnx.ml`, which makes FP32 of what it joins.
//! - Columns without a second dimension one behind the other (`Concat`), then one under the other (`Reshape`), cast or not, and
//!   turned (`Transpose`): what `mainspring convert` writes.
//!
//! Before it a column may be cast (`Cast`), get its second dimension (`Reshape`) and be renamed (`Identity`). All that must
//! be used for nothing else, but that a `CastLike` may ask for a type: it then asks a tensor without elements. By the
//! definitions of the operators and `onnx.proto`.

use super::cast::{Fill, fill};
use super::edit::{fields, put, put_number};
use super::graph::{Graph, Input, Node, Shape, name, number};
use super::{Column, Feed, Matrix, Split};
use crate::types::{in_file, of_file};
use mainspring_core::DType;
use mainspring_engine::TensorSpec;
use std::collections::HashSet;

/// What a node makes of columns.
struct Join<'a> {
    output: &'a str,
    dtype: DType,
    parts: Vec<Part<'a>>,
    /// Places of the nodes that go.
    gone: Vec<usize>,
    /// Names whose type is asked for, with the types.
    types: Vec<(&'a str, DType)>,
}

/// One of the columns.
struct Part<'a> {
    at: usize,
    shape: Shape<'a>,
    /// What it is cast to, one after the other.
    casts: Vec<DType>,
    /// Whether it has no second dimension when it is joined.
    flat: bool,
}

impl<'a> Join<'a> {
    /// What the node joins, if it does only that.
    fn of(graph: &Graph<'a>, place: usize, node: &Node<'a>) -> Option<Self> {
        let [output] = node.outputs[..] else { return None };
        let mut join = Self { output, dtype: DType::Fp32, parts: Vec::new(), gone: vec![place], types: Vec::new() };
        if node.is_ml("FeatureVectorizer") {
            join.parts(graph, node, false)?;
            let widths: Vec<u64> = join.parts.iter().map(|part| part.width() as u64).collect();
            let said = node.numbers("inputdimensions")?;
            return (said.is_empty() || said == widths).then_some(join);
        }
        if node.is("Concat") && matches!(node.numbers("axis")?[..], [1 | u64::MAX]) {
            join.parts(graph, node, false)?;
            join.dtype = join.alike()?;
            return Some(join);
        }
        if node.is("Transpose") && node.numbers("perm")? == [1, 0] {
            join.turned(graph, node)?;
            return Some(join);
        }
        None
    }

    fn turned(&mut self, graph: &Graph<'a>, node: &Node<'a>) -> Option<()> {
        let before = |node: &Node<'a>| {
            let input = node.inputs.first()?;
            let only = graph.uses.once(input) && !graph.uses.types.contains_key(input);
            if only { graph.maker(input) } else { None }
        };
        let (mut place, mut node) = before(node)?;
        let mut to = None;
        if node.is("Cast") {
            to = Some(of_file(*node.numbers("to")?.first()?)?);
            self.gone.push(place);
            (place, node) = before(node)?;
        }
        let (joined_at, joined) = before(node)?;
        if !joined.is("Concat") || joined.numbers("axis")? != [0] {
            return None;
        }
        self.gone.extend([place, joined_at]);
        self.parts(graph, joined, true)?;
        self.dtype = to.or(self.alike())?;
        self.alike()?;
        graph.reshapes(node, [i64::try_from(self.parts.len()).ok()?, -1]).then_some(())
    }

    /// The columns that a node takes.
    fn parts(&mut self, graph: &Graph<'a>, node: &Node<'a>, flat: bool) -> Option<()> {
        for input in &node.inputs {
            let part = self.part(graph, input)?;
            if part.flat != flat {
                return None;
            }
            self.parts.push(part);
        }
        (self.parts.len() > 1).then_some(())
    }

    /// The column behind a value.
    fn part(&mut self, graph: &Graph<'a>, value: &'a str) -> Option<Part<'a>> {
        let mut name = value;
        let mut casts = Vec::new();
        let mut shaped = false;
        let mut asked = Vec::new();
        loop {
            if !graph.uses.once(name) {
                return None;
            }
            if graph.uses.types.contains_key(name) {
                asked.push((name, casts.len()));
            }
            let Some((place, node)) = graph.maker(name) else { break };
            if node.is("Cast") {
                casts.push(of_file(*node.numbers("to")?.first()?)?);
            } else if graph.reshapes(node, [-1, 1]) {
                shaped = true;
            } else if !node.is("Identity") {
                return None;
            }
            self.gone.push(place);
            name = node.inputs.first()?;
        }
        let at = *graph.given.get(name)?;
        let shape = graph.inputs[at].column?;
        if shaped && shape.width.unwrap_or(1) != 1 {
            return None;
        }
        // Found from the last cast to the first.
        let type_at = |passed: usize| casts.get(passed).copied().unwrap_or(shape.dtype);
        self.types.extend(asked.into_iter().map(|(name, passed)| (name, type_at(passed))));
        casts.reverse();
        Some(Part { at, shape, casts, flat: shape.width.is_none() && !shaped })
    }

    /// The type that all columns have when they are joined.
    fn alike(&self) -> Option<DType> {
        let mut types = self.parts.iter().map(|part| part.casts.last().copied().unwrap_or(part.shape.dtype));
        let first = types.next()?;
        types.all(|other| other == first).then_some(first)
    }

    fn matrix(&self, inputs: &[Input<'_>]) -> Option<Matrix> {
        let size = self.dtype.size()?;
        let mut offset = 0;
        let mut columns = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let Shape { dtype, width, .. } = part.shape;
            let width = width.map(i64::try_from).transpose().ok()?;
            let shape: Vec<i64> = std::iter::once(-1).chain(width).collect();
            let spec = TensorSpec::new(inputs[part.at].name, dtype, &shape);
            let row = part.width().checked_mul(dtype.size()?)?;
            columns.push(Column { at: part.at, spec, row, offset, fill: part.fill(self.dtype)? });
            offset = part.width().checked_mul(size)?.checked_add(offset)?;
        }
        Some(Matrix { name: self.output.into(), dtype: self.dtype, stride: offset, columns })
    }

    /// The `ValueInfoProto` of what it makes.
    fn info(&self, width: usize) -> Option<Vec<u8>> {
        let (mut values, mut shape, mut tensor, mut of, mut info) = (vec![], vec![], vec![], vec![], vec![]);
        put_number(&mut values, number::DIMENSION_VALUE, width as u64);
        put(&mut shape, number::SHAPE_DIMENSION, self.parts.first()?.shape.rows);
        put(&mut shape, number::SHAPE_DIMENSION, &values);
        put_number(&mut tensor, number::TENSOR_ELEMENT, in_file(self.dtype)?);
        put(&mut tensor, number::TENSOR_SHAPE, &shape);
        put(&mut of, number::TYPE_TENSOR, &tensor);
        put(&mut info, number::INFO_NAME, self.output.as_bytes());
        put(&mut info, number::INFO_TYPE, &of);
        Some(info)
    }
}

impl Part<'_> {
    /// Values of a row.
    fn width(&self) -> usize {
        self.shape.width.unwrap_or(1)
    }

    fn fill(&self, to: DType) -> Option<Fill> {
        let mut steps = vec![self.shape.dtype];
        for next in self.casts.iter().chain([&to]) {
            if steps.last() != Some(next) {
                steps.push(*next);
            }
        }
        match steps[..] {
            [from] => fill(from, None, from),
            [from, to] => fill(from, None, to),
            [from, through, to] => fill(from, Some(through), to),
            _ => None,
        }
    }
}

/// A tensor without elements, which has a type: a `TensorProto`.
fn nothing(name: &str, dtype: DType) -> Option<Vec<u8>> {
    let mut values = Vec::new();
    put_number(&mut values, number::VALUES_DIMENSIONS, 0);
    put_number(&mut values, number::VALUES_ELEMENT, in_file(dtype)?);
    put(&mut values, number::VALUES_NAME, name.as_bytes());
    Some(values)
}

/// The model without the nodes that only join columns; `None` when it has none.
pub(crate) fn split(model: &[u8]) -> Option<Split> {
    let parts = fields(model)?;
    let mut graphs = parts.iter().filter(|f| f.number == number::MODEL_GRAPH);
    let (Some(whole), None) = (graphs.next(), graphs.next()) else { return None };
    let old = fields(whole.bytes()?)?;
    let graph = Graph::of(&old)?;
    let mut gone = Vec::new();
    let mut joins = Vec::new();
    for (place, node) in &graph.nodes {
        let Some(join) = Join::of(&graph, *place, node) else { continue };
        let Some(matrix) = join.matrix(&graph.inputs) else { continue };
        gone.extend(&join.gone);
        joins.push((matrix, join));
    }
    if joins.is_empty() {
        return None;
    }
    // By their first column, so that the same model is always split the same way.
    joins.sort_by_key(|(matrix, _)| matrix.columns.iter().map(|column| column.at).min());
    let taken: HashSet<usize> =
        joins.iter().flat_map(|(matrix, _)| matrix.columns.iter().map(|column| column.at)).collect();
    let inputs = taken.iter().map(|at| graph.inputs[*at].name);
    let away: HashSet<&str> = inputs.chain(joins.iter().map(|(_, join)| join.output)).collect();
    let gone: HashSet<usize> = gone.into_iter().collect();

    let mut new = Vec::with_capacity(whole.whole.len());
    for (matrix, join) in &joins {
        put(&mut new, number::GRAPH_INPUT, &join.info(matrix.stride / join.dtype.size()?)?);
        for (name, dtype) in &join.types {
            put(&mut new, number::GRAPH_INITIALIZER, &nothing(name, *dtype)?);
        }
    }
    for (place, field) in old.iter().enumerate() {
        let named = match field.number {
            number::GRAPH_INPUT | number::GRAPH_VALUE_INFO => away.contains(name(field.bytes()?)?),
            _ => gone.contains(&place),
        };
        if !named {
            new.extend_from_slice(field.whole);
        }
    }
    let mut edited = Vec::with_capacity(model.len());
    for part in &parts {
        if part.number == number::MODEL_GRAPH {
            put(&mut edited, number::MODEL_GRAPH, &new);
        } else {
            edited.extend_from_slice(part.whole);
        }
    }
    let plain = (0..graph.inputs.len()).filter(|at| !taken.contains(at)).map(Feed::Plain);
    let feeds = joins.into_iter().map(|(matrix, _)| Feed::Matrix(matrix)).chain(plain).collect();
    Some(Split { model: edited, feeds })
}
