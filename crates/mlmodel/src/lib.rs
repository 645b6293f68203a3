//! A model as files: its `MLmodel` file, which engine opens it, what it takes, and how columns become
//! that. Whoever runs models stands on this: deployments, and runs over whole files.

pub mod contract;
mod files;
pub mod mlmodel;
mod params;
pub mod table;

pub use contract::{Contract, stacked};
pub use files::{FilesError, choose, described, read};
pub use mlmodel::{
    ColumnSpec, ColumnType, MlflowInputs, MlflowSignature, Mlmodel, MlmodelError, ParamSpec, TensorColumn,
};
pub use params::{GivenParams, ParamError, without_params};
pub use table::{Cell, ColumnError, Table};
