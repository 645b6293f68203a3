//! The estimate of a deployment's window, from rows of it that are labelled, or from a file.

use super::{Asked, Estimated, Source, estimate_sources};
use crate::error::MonitorError;
use crate::live::NamedFile;
use crate::performance::{Performance, PerformanceError};
use crate::segment::{About, Kept, Labelled, Wanted, WindowError, rows};
use crate::table::Table;
use mainspring_core::{Authorized, ErrorKind, Failure};
use mainspring_query::QueryJournal;

/// What is learnt from.
#[derive(Debug)]
pub enum Reference {
    /// Rows of a window that are labelled.
    Rows(Wanted),
    /// A file that a version names.
    File(NamedFile),
}

/// Which rows are estimated, and how.
#[derive(Debug)]
pub struct Request {
    /// These.
    pub current: Wanted,
    /// From these.
    pub reference: Reference,
    /// Name of the feedback that says what was true.
    pub feedback: String,
    /// The columns.
    pub asked: Asked,
}

/// An estimate of a window.
#[derive(Debug)]
pub struct Report {
    /// The estimate.
    pub estimated: Estimated,
    /// What must be known of the window's rows.
    pub current: About,
    /// What must be known of the reference's, where they are live ones.
    pub reference: Option<About>,
    /// What was learnt from, in words.
    pub source: String,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum EstimateError {
    /// The journal's rows cannot be read.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// There is no turn for it.
    #[error(transparent)]
    Turn(#[from] PerformanceError),
    /// There is nothing to go by.
    #[error(transparent)]
    Estimate(#[from] MonitorError),
    /// A window without rows.
    #[error("no row of {of} was kept in that time")]
    Empty {
        /// Which window.
        of: String,
        /// Rows whose payload was not kept.
        unkept: u64,
    },
    /// A window without labels.
    #[error("no row of {of} has feedback called {label:?} in that time")]
    Unlabelled {
        /// Which window.
        of: String,
        /// The feedback's name.
        label: String,
    },
}

impl Failure for EstimateError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Window(e) => e.kind(),
            Self::Turn(e) => e.kind(),
            Self::Estimate(e) => e.kind(),
            Self::Empty { .. } | Self::Unlabelled { .. } => ErrorKind::NotFound,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Window(e) => e.hint(),
            Self::Turn(e) => e.hint(),
            Self::Estimate(e) => e.hint(),
            Self::Empty { unkept: 0, .. } => Some("ask for a longer time".to_owned()),
            Self::Empty { unkept, .. } => {
                Some(format!("the payload of {unkept} rows was not kept (`journal: {{sample}}`)"))
            }
            Self::Unlabelled { .. } => Some(
                "name another reference: a time in which labels came, or a version that names a file \
                 (tag mainspring.reference_data)"
                    .to_owned(),
            ),
        }
    }
}

fn called(wanted: &Wanted) -> String {
    format!("deployment:{}", wanted.deployment)
}

impl Performance {
    /// The newest rows of a window as a stream of Arrow ([`Kept::to_arrow`]), in the turn of reports on performance.
    ///
    /// # Errors
    /// [`EstimateError`].
    pub async fn rows(
        &self,
        auth: &Authorized<QueryJournal>,
        wanted: &Wanted,
        label: Option<Labelled<'_>>,
    ) -> Result<Vec<u8>, EstimateError> {
        let turn = self.turn().await?;
        let kept = rows(self.query(), auth, wanted, label).await?;
        let work = move || {
            let _turn = turn;
            kept.to_arrow().map_err(|e| WindowError::Rows(e.to_string()))
        };
        let written = tokio::task::spawn_blocking(work).await.map_err(|e| PerformanceError::Broken(e.to_string()))?;
        Ok(written?)
    }

    /// Estimates a window, in the turn of reports on performance: it, too, holds many rows.
    ///
    /// # Errors
    /// [`EstimateError`]: what is missing, or what must be said.
    pub async fn estimate(&self, auth: &Authorized<QueryJournal>, request: Request) -> Result<Report, EstimateError> {
        let Request { current, reference, feedback, asked } = request;
        let read = async |wanted: &Wanted, only: bool| -> Result<Kept, EstimateError> {
            let kept = rows(self.query(), auth, wanted, Some(Labelled { name: &feedback, only })).await?;
            match kept.rows() {
                0 if only => Err(EstimateError::Unlabelled { of: called(wanted), label: feedback.clone() }),
                0 => Err(EstimateError::Empty { of: called(wanted), unkept: kept.about.unkept }),
                _ => Ok(kept),
            }
        };
        let turn = self.turn().await?;
        let now = read(&current, false).await?;
        let (about, name) = (now.about, called(&current));
        let before = match &reference {
            Reference::Rows(wanted) => Some(read(wanted, true).await?),
            Reference::File(_) => None,
        };
        let of_reference = before.as_ref().map(|kept| kept.about);
        let source = match &reference {
            Reference::Rows(wanted) => format!("labelled rows of {}", called(wanted)),
            Reference::File(file) => file.source.clone(),
        };
        let work = move || {
            let _turn = turn;
            let reference = match (&reference, before) {
                (Reference::File(file), _) => Source::File(Table::open(&file.path)?),
                (Reference::Rows(wanted), Some(kept)) => Source::Live(kept, called(wanted)),
                (Reference::Rows(wanted), None) => Source::Live(Kept::default(), called(wanted)),
            };
            estimate_sources(reference, Source::Live(now, name), &asked)
        };
        let done = tokio::task::spawn_blocking(work).await;
        let estimated = done.map_err(|e| PerformanceError::Broken(e.to_string()))??;
        Ok(Report { estimated, current: about, reference: of_reference, source })
    }
}
