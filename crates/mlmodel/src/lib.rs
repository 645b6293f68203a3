//! A model as files: its `MLmodel` file, which engine opens it, what it takes, and how columns become
//! that. Whoever runs models stands on this: deployments, and runs over whole files.

pub mod contract;
mod files;
pub mod mlmodel;
pub mod table;

pub use contract::{Contract, stacked};
pub use files::{FilesError, choose, read};
pub use mlmodel::{
    ColumnSpec, ColumnType, MlflowInputs, MlflowSignature, Mlmodel, MlmodelError, ParamSpec, TensorColumn,
};
pub use table::{Cell, ColumnError, Table};
