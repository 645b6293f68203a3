//! What answers cost, what they brought, and what stands idle.
//!
//! Nothing is counted here: every answer stands in the journal with the time that its engine call took and how many
//! rows shared it, and a report is a query over that. Money is exact: amounts are whole numbers of 10⁻¹² of a
//! currency, prices are declared in dated tables, and without a table there are seconds and bytes and no money.
//!
//! A second of compute is a second of one instance of a model; an answer has the share of its call that its rows
//! have. What of the paid machines no answer took is shown as such, and is never spread over answers.

mod action;
pub mod bill;
pub mod budget;
mod costs;
mod error;
pub mod hints;
mod kind;
pub mod money;
mod ports;
pub mod prices;
pub mod report;
pub mod roi;
mod sql;
pub mod value;
mod watch;

pub use action::{ReadAllCost, ReadCost};
pub use bill::Bill;
pub use budget::{BudgetSpec, Standing};
pub use costs::Costs;
pub use error::CostError;
pub use hints::{Hint, Hints};
pub use kind::{budget, outcome_value, price_table};
pub use money::Money;
pub use ports::{House, PortError, PortResult, Running, Stored};
pub use prices::PriceSpec;
pub use report::{By, Host, Line, Report, Request, Usage};
pub use roi::{Roi, RoiRequest};
pub use value::ValueSpec;
pub use watch::{Alarms, Watch};

#[cfg(test)]
mod tests;
