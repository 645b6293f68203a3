//! What the inputs of a request have in common, and requests with each other. A request of a table has an input for each
//! column, dozens that differ in their names and their data: what stands around these is read once.

use super::cursor::Cursor;
use super::data;
use bytes::Bytes;
use mainspring_core::tensor::Shape;
use mainspring_core::{DType, NamedTensor};
use std::cell::RefCell;
use std::sync::Arc;

/// The text of an input without its name and its data, and what it says. Text that is the same says the same.
pub(super) struct Form<'a> {
    /// Up to the name, between both, and after the data.
    parts: [&'a str; 3],
    dtype: DType,
    shape: Shape,
}

impl<'a> Form<'a> {
    /// The text between the places of the input's beginning, of its name, of its data and of its end. `None` where the data
    /// comes before the name.
    pub(super) fn of(text: &'a str, places: [usize; 6], dtype: DType, shape: &Shape) -> Option<Self> {
        let [began, name, after_name, data, after_data, end] = places;
        let parts = [text.get(began..name)?, text.get(after_name..data)?, text.get(after_data..end)?];
        Some(Self { parts, dtype, shape: shape.clone() })
    }

    /// Input `i` of the request, when it stands under the cursor in this form. Else the cursor stays where it is.
    pub(super) fn filled(&self, i: usize, cursor: &mut Cursor<'a>, body: &Bytes) -> Option<NamedTensor> {
        let [before, between, after] = self.parts;
        let mut ahead = cursor.clone();
        ahead.literal(before)?;
        let name = ahead.plain();
        ahead.literal(between)?;
        let spec = data::Spec { input: i, dtype: self.dtype, shape: &self.shape };
        // What is wrong with it is said when it is read without the form.
        let tensor = data::read(&mut ahead, spec, body).ok()?;
        ahead.literal(after)?;
        *cursor = ahead;
        Some(NamedTensor { name: known(i, name), tensor })
    }
}

/// Inputs whose names are remembered, and how long these may be.
const KNOWN: usize = 256;
const NAME: usize = 128;

thread_local! {
    /// The names of the last request's inputs.
    static NAMES: RefCell<Vec<Arc<str>>> = const { RefCell::new(Vec::new()) };
}

/// The name of input `i`: that of the last request on this thread when it is the same, as it mostly is, without an
/// allocation.
pub(super) fn known(i: usize, name: &str) -> Arc<str> {
    if i >= KNOWN {
        return Arc::from(name);
    }
    NAMES.with_borrow_mut(|names| {
        if names.len() <= i {
            names.resize(i + 1, Arc::default());
        }
        if *names[i] != *name {
            let new = Arc::from(name);
            if name.len() > NAME {
                return new;
            }
            names[i] = new;
        }
        Arc::clone(&names[i])
    })
}
