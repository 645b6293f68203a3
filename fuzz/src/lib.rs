//! What must hold for every byte string that reaches a parser, whatever it says. Each function here is
//! the body of one target under `fuzz_targets/`; it panics when a property does not hold.

pub mod filter;
pub mod journal;
pub mod lineage;
pub mod resource;
pub mod scoring;
pub mod search;
pub mod v2;

use mainspring_core::Tensor;
use mainspring_core::tensor::{Data, element_count};

/// No tensor may say that it has other elements than it holds.
fn fills_its_shape(tensor: &Tensor) {
    let count = element_count(tensor.shape()).expect("an accepted shape has a product");
    match tensor.data() {
        Data::Raw(bytes) => {
            let size = tensor.dtype().size().expect("raw elements have a size");
            assert_eq!(Some(bytes.len()), count.checked_mul(size), "{:?} of {}", tensor.shape(), tensor.dtype());
        }
        Data::Strings(values) => assert_eq!(values.len(), count, "{:?}", tensor.shape()),
    }
}
