//! Layers: whether what one rollout declares of a layer fits what others have of it.

use super::{LayerSpec, RolloutSpec, check};
use mainspring_core::{ErrorKind, Failure};
use mainspring_traffic::Share;

/// A layer in which others are in the way. Layers are of the tenant: the others may be of any deployment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayerError {
    /// The units are another's.
    #[error("assignment.layer.place: place {place} of layer {layer:?} is taken by rollout {by:?}")]
    Taken {
        /// The layer's name.
        layer: String,
        /// The place, from 1.
        place: u16,
        /// Who has it.
        by: String,
    },
    /// Places of other sizes are other units.
    #[error(
        "assignment.layer.places: rollout {by:?} divides layer {layer:?} as {theirs}, and this one as {ours}; rollouts of one \
         layer declare the same places"
    )]
    Divided {
        /// The layer's name.
        layer: String,
        /// What is declared.
        ours: String,
        /// What the other one declared.
        theirs: String,
        /// The other one.
        by: String,
    },
}

impl Failure for LayerError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Conflict
    }

    fn hint(&self) -> Option<String> {
        let by = match self {
            Self::Taken { by, .. } | Self::Divided { by, .. } => by,
        };
        Some(format!("declare a place that is free or another layer, or apply it again once {by} has ended"))
    }
}

/// The sizes of the places, as the routing row has them.
fn sizes(layer: &LayerSpec) -> Vec<Option<Share>> {
    layer.places.iter().map(|percent| check::percent(*percent)).collect()
}

/// Checks the layer of `spec` against those of other active rollouts of the tenant, by their names.
///
/// # Errors
/// [`LayerError`], of the first one that is in the way.
pub(crate) fn fits<'a>(
    spec: &RolloutSpec,
    others: impl IntoIterator<Item = (&'a str, &'a RolloutSpec)>,
) -> Result<(), LayerError> {
    let Some(mine) = &spec.assignment.layer else { return Ok(()) };
    for (by, other) in others {
        let Some(theirs) = other.assignment.layer.as_ref().filter(|layer| layer.name == mine.name) else { continue };
        let (layer, by) = (mine.name.clone(), by.to_owned());
        if sizes(mine) != sizes(theirs) {
            let (ours, theirs) = (format!("{:?}", mine.places), format!("{:?}", theirs.places));
            return Err(LayerError::Divided { layer, ours, theirs, by });
        }
        if mine.place == theirs.place {
            return Err(LayerError::Taken { layer, place: mine.place, by });
        }
    }
    Ok(())
}
