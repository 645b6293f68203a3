//! What was made from what. Others send events about their jobs and datasets, which are kept here; what this house
//! knows itself (runs, versions, deployments, predictions) stays where it is and is asked for through [`Known`].
//! [`Lineage::graph`] walks over both.
//!
//! Where a collector outside listens, what happens to deployments and files ([`Told`]) waits for it in the outbox.

mod actions;
mod error;
mod event;
mod graph;
mod lineage;
mod node;
mod ports;
mod sql;
mod told;

pub use actions::{ReadLineage, SendLineage};
pub use error::{LineageError, Result};
pub use event::{Event, Facet, MAX_DATASETS, RunState, Subject, Thing, ThingKind};
pub use graph::{Ask, Direction, Found, Graph, MAX_DEPTH, MAX_NODES};
pub use lineage::{Between, Lineage};
pub use node::{NAMESPACE, Node};
pub use ports::{Around, Detail, Known, Look, Own, PortError, Starts};
pub use sql::{KeptEvent, KeptRun, KeptThing, MIGRATIONS, Page};
pub use told::{Happened, TOPIC, Told};

#[cfg(test)]
mod tests;
