//! A run from beginning to end.

use crate::carry;
use crate::columns::Columns;
use crate::error::BatchError;
use crate::format::Format;
use crate::manifest::{Folder, Identity, Manifest};
use crate::measure;
use crate::model::{LoadedModel, ModelId};
use crate::outputs::Outputs;
use crate::part::{self, Whole};
use crate::place::{Place, Stamp};
use crate::plan::Source;
use crate::read::Rows;
use crate::tolerate::OnError;
use crate::work::{Sheet, Work};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use mainspring_core::EventId;
use mainspring_engine::zeros;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The two columns by which a row of the output is joined to what is known of it elsewhere.
const ID: &str = "prediction_id";
const ROW: &str = "prediction_row";
/// The column that says why a row has no answer.
const ERROR: &str = "prediction_error";
/// Follows the output's name in that of the file that tells of rows that were skipped.
const FAILURES: &str = ".errors.jsonl";

/// What to run over what.
#[derive(Debug, Clone)]
pub struct Job {
    /// The input.
    pub input: Place,
    /// Its format, where its name does not say it.
    pub input_format: Option<Format>,
    /// The output.
    pub output: Place,
    /// Its format, where its name does not say it.
    pub output_format: Option<Format>,
    /// Columns that the model takes, in its order, where its signature does not say it.
    pub columns: Option<Vec<String>>,
    /// Stands before the names of the columns that are added.
    pub prefix: String,
    /// Threads; at least 1.
    pub threads: usize,
    /// Rows a call; measured when left out.
    pub batch_rows: Option<usize>,
    /// What becomes of rows that fail.
    pub on_error: OnError,
    /// How many rows may fail before the run does; any number when left out.
    pub max_errors: Option<u64>,
    /// Forget an unfinished run.
    pub restart: bool,
    /// Replace an output that is there.
    pub overwrite: bool,
    /// The prediction id of a run that begins; one that goes on keeps its own.
    pub id: EventId,
    /// Where runs whose output is not on this machine keep their folders.
    pub scratch: PathBuf,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The input is fetched and cut into shards, the model is measured.
    Planning,
    /// Rows that are done, also by earlier runs, of all.
    Rows {
        /// Done.
        done: u64,
        /// Done by an earlier run.
        resumed: u64,
        /// There are.
        of: u64,
    },
    /// The parts become the output.
    Joining,
}

/// What a run did.
#[derive(Debug, Clone)]
pub struct Report {
    /// The prediction id of all its rows.
    pub id: String,
    /// The model.
    pub model: ModelId,
    /// Which engine ran it.
    pub engine: &'static str,
    /// Where the input is.
    pub input: String,
    /// Where the output is.
    pub output: String,
    /// Its rows: those of the input, without those that were skipped.
    pub rows: u64,
    /// Rows that failed.
    pub failed: u64,
    /// Where they are told, when rows that fail are skipped: a file beside the output.
    pub failures: Option<String>,
    /// Those that an earlier run had done.
    pub resumed: u64,
    /// Bytes of the output.
    pub bytes: u64,
    /// Rows a call.
    pub batch_rows: usize,
    /// Time in the engine, all threads and earlier runs together, nanoseconds.
    pub engine_ns: u64,
    /// Time of this run.
    pub took: Duration,
}

/// A run whose output is in its place. Its folder stays until it is closed, so that what is left to do
/// about it can be tried again.
#[derive(Debug)]
pub struct Finished {
    /// What it did.
    pub report: Report,
    folder: Folder,
}

impl Finished {
    /// Nothing is left to do.
    ///
    /// # Errors
    /// [`BatchError::Io`] when its folder cannot be removed.
    pub fn close(self) -> Result<(), BatchError> {
        self.folder.remove()
    }
}

type Watch = Arc<dyn Fn(Progress) + Send + Sync>;

/// Runs `job`, or goes on with it where an earlier run of it was stopped. `watch` hears of its progress,
/// several times a second.
///
/// # Errors
/// [`BatchError`] naming the row and the column where it is about one. What is done stays done.
pub async fn run(job: Job, model: LoadedModel, watch: Watch) -> Result<Finished, BatchError> {
    let began = Instant::now();
    let formats = (format(&job.input, job.input_format)?, format(&job.output, job.output_format)?);
    let Some(stamp) = job.input.stamp().await? else {
        return Err(BatchError::reading(Path::new(&job.input.short()), std::io::ErrorKind::NotFound.into()));
    };
    let identity = identity(&job, &model, &stamp, formats);
    let root = folder(&job);
    let taken = job.output.stamp().await?.is_some() && !job.overwrite;
    let fresh = !root.exists();
    if taken && fresh {
        return Err(BatchError::Exists { output: job.output.short() });
    }
    let folder = Folder::open(&root)?;
    if job.restart {
        folder.clear()?;
    }
    let manifest = match folder.resume(&identity)? {
        Some(mut manifest) => {
            // A part that somebody took away is made again.
            manifest.done.retain(|shard, _| manifest.finished || folder.part(*shard).exists());
            manifest
        }
        None if taken => {
            folder.remove()?;
            return Err(BatchError::Exists { output: job.output.short() });
        }
        None => {
            folder.clear()?;
            let id = job.id.to_string();
            Manifest { id, identity, batch_rows: 0, carried: None, done: BTreeMap::new(), finished: false, bytes: 0 }
        }
    };
    watch(Progress::Planning);
    let mut session = Session { job, model, formats, folder, manifest, watch, began, resumed: 0 };
    session.resumed = session.manifest.done.values().map(|d| d.rows).sum();
    if session.manifest.finished {
        return Ok(session.finished());
    }
    let file = session.job.input.local(session.folder.path(), &stamp).await?;
    let worked = tokio::task::spawn_blocking(move || {
        let whole = session.work(&file);
        (session, whole)
    });
    let (mut session, whole) = worked.await.map_err(|e| BatchError::Broken(format!("the run broke off: {e}")))?;
    let whole = match whole {
        Ok(whole) => whole,
        Err(e) => {
            // There is nothing to go on with.
            if session.manifest.done.is_empty() {
                session.folder.remove()?;
            }
            return Err(e);
        }
    };
    if session.job.input.stamp().await?.as_ref() != Some(&stamp) {
        return Err(BatchError::Changed { name: session.job.input.short() });
    }
    if session.skips() {
        let failures = session.folder.all_failures(&session.manifest)?;
        session.job.output.beside(FAILURES)?.publish(&failures).await?;
    }
    session.job.output.publish(&whole).await?;
    session.manifest.finished = true;
    session.folder.save(&session.manifest)?;
    Ok(session.finished())
}

fn format(place: &Place, given: Option<Format>) -> Result<Format, BatchError> {
    let name = place.short();
    given.or_else(|| Format::of(&name)).ok_or(BatchError::Format { name })
}

fn identity(job: &Job, model: &LoadedModel, stamp: &Stamp, (from, to): (Format, Format)) -> Identity {
    Identity {
        input: job.input.name(),
        input_size: stamp.size,
        input_tag: stamp.tag.clone(),
        input_format: from.to_string(),
        output: job.output.name(),
        output_format: to.to_string(),
        model: model.id.name.clone(),
        version: model.id.version.clone(),
        files: model.files.clone(),
        columns: job.columns.clone(),
        prefix: job.prefix.clone(),
        on_error: job.on_error.to_string(),
    }
}

/// The folder of the run: beside the output, or among those whose output is elsewhere.
fn folder(job: &Job) -> PathBuf {
    match &job.output {
        Place::Local(path) => {
            let mut name = path.clone().into_os_string();
            name.push(".run");
            name.into()
        }
        Place::Remote { url, .. } => {
            let plain: String = url.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            let hash = twox_hash::XxHash3_128::oneshot(url.as_bytes());
            let tail: String = plain.chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect();
            job.scratch.join(format!("{tail}-{hash:032x}"))
        }
    }
}

/// A run at work.
struct Session {
    job: Job,
    model: LoadedModel,
    formats: (Format, Format),
    folder: Folder,
    manifest: Manifest,
    watch: Watch,
    began: Instant,
    resumed: u64,
}

impl Session {
    fn finished(self) -> Finished {
        let done = self.manifest.done.values();
        let (all, failed): (u64, u64) = done.clone().fold((0, 0), |(r, f), d| (r + d.rows, f + d.failed));
        let told = self.skips().then(|| self.job.output.beside(FAILURES).ok()).flatten();
        let report = Report {
            id: self.manifest.id.clone(),
            model: self.model.id.clone(),
            engine: self.model.engine,
            input: self.job.input.name(),
            output: self.job.output.name(),
            rows: if self.job.on_error == OnError::Skip { all - failed } else { all },
            failed,
            failures: told.map(|place| place.name()),
            resumed: self.resumed,
            bytes: self.manifest.bytes,
            batch_rows: self.manifest.batch_rows,
            engine_ns: done.map(|d| d.engine_ns).sum(),
            took: self.began.elapsed(),
        };
        Finished { report, folder: self.folder }
    }

    /// Makes the whole output in the run's folder.
    fn work(&mut self, file: &Path) -> Result<PathBuf, BatchError> {
        let (from, to) = self.formats;
        let threads = self.job.threads.max(1);
        let mut source = Source::plan(file, self.job.input.short(), from, threads)?;
        let fit = |schema: &Schema| {
            let contract = Arc::clone(&self.model.contract);
            Columns::new(contract, schema, self.job.columns.as_deref(), from == Format::Csv)
        };
        let mut columns = fit(&source.schema)?;
        // A run that goes on has the shards that it began with.
        let may = to == Format::Parquet && self.job.on_error == OnError::Fail && self.manifest.done.is_empty();
        if *self.manifest.carried.get_or_insert_with(|| may && carry::possible(&source, threads)) {
            source.carry(columns.places());
            columns = fit(&source.read_schema())?;
        }
        let work = Work { source, model: self.model.clone(), columns };
        let first = first_rows(&work.source)?;
        let first = if self.job.on_error == OnError::Fail { first } else { work.good_rows(&first)? };
        self.choose_batch_rows(&work, &first)?;
        let outputs = self.learn(&work, &first)?;
        let schema = self.schema(&work, &outputs)?;
        part::check(to, &schema)?;
        let added = (work.source.schema.fields().len()..schema.fields().len()).collect::<Vec<_>>();
        let sheet = Sheet {
            outputs,
            added: carry::some(&schema, &added),
            schema,
            format: to,
            id: self.manifest.id.clone(),
            batch_rows: self.manifest.batch_rows,
            rows: AtomicU64::new(self.resumed),
            stop: AtomicBool::new(false),
            on_error: self.job.on_error,
            failures: AtomicU64::new(self.manifest.done.values().map(|d| d.failed).sum()),
            max_errors: self.job.max_errors,
        };
        self.folder.save(&self.manifest)?;
        let path = self.folder.path().join("whole");
        self.manifest.bytes = self.shards(&work, &sheet, (Whole::create(&path, to, &sheet.schema)?, threads))?;
        Ok(path)
    }

    /// Whether a file tells of rows that failed; it is there and empty where none did.
    fn skips(&self) -> bool {
        self.job.on_error == OnError::Skip
    }

    /// Rows a call: those of the run that goes on, those asked for, or what is measured.
    fn choose_batch_rows(&mut self, work: &Work, first: &RecordBatch) -> Result<(), BatchError> {
        if self.manifest.batch_rows == 0 {
            self.manifest.batch_rows = match (work.model.fixed_rows()?, self.job.batch_rows) {
                (Some(fixed), _) => fixed,
                (None, Some(rows)) => rows.max(1),
                (None, None) if first.num_rows() == 0 => 1,
                (None, None) => measure::batch_rows(work, first)?,
            };
        }
        Ok(())
    }

    /// The columns that the model adds, from an answer for the first rows, or for zeros when there are none.
    fn learn(&self, work: &Work, first: &RecordBatch) -> Result<Outputs, BatchError> {
        let rows = first.num_rows().min(self.manifest.batch_rows).min(16);
        let inputs = match rows {
            0 => zeros(&work.model.contract.signature, 1).map_err(mainspring_engine::EngineError::from)?,
            _ => work.inputs(&first.slice(0, rows), 0)?,
        };
        let answer = work.call(&inputs, rows, 0)?;
        let outputs = Outputs::learn(&*work.model.model, &answer, (rows.max(1), self.formats.1, &self.job.prefix))?;
        Ok(if self.job.on_error == OnError::Keep { outputs.with_gaps() } else { outputs })
    }

    fn schema(&self, work: &Work, outputs: &Outputs) -> Result<Arc<Schema>, BatchError> {
        let typed = self.formats.0 == Format::Csv && self.formats.1 != Format::Csv;
        let carried = work.source.schema.fields().iter().map(|field| {
            if typed { Field::new(field.name(), work.columns.carried(field.name()), true) } else { Field::clone(field) }
        });
        let mut fields: Vec<Field> = carried.collect();
        let name = |name: &str| format!("{}{name}", self.job.prefix);
        let ids = [Field::new(name(ID), DataType::Utf8, false), Field::new(name(ROW), DataType::Int64, false)];
        let error = (self.job.on_error == OnError::Keep).then(|| Field::new(name(ERROR), DataType::Utf8, true));
        for field in outputs.fields.iter().cloned().chain(ids).chain(error) {
            if fields.iter().any(|f| f.name() == field.name()) {
                return Err(BatchError::Taken { column: field.name().clone() });
            }
            fields.push(field);
        }
        Ok(Arc::new(Schema::new(fields)))
    }

    /// Runs the shards that are not done; the manifest has each of them once its part is on disk. The parts become
    /// the whole in their order, beside the shards that still run. Returns the bytes of the whole.
    fn shards(&mut self, work: &Work, sheet: &Sheet, (whole, threads): (Whole, usize)) -> Result<u64, BatchError> {
        let all = &work.source.shards;
        let left: Vec<usize> = (0..all.len()).filter(|i| !self.manifest.done.contains_key(i)).collect();
        let next = AtomicUsize::new(0);
        let (folder, of) = (&self.folder, work.source.rows);
        let (tell, told) = mpsc::channel();
        let mut failed: Option<(usize, BatchError)> = None;
        let (manifest, watch, resumed) = (&mut self.manifest, &self.watch, self.resumed);
        let joined = std::thread::scope(|scope| -> Result<Result<u64, BatchError>, BatchError> {
            let (ready, parts) = mpsc::channel();
            let joiner = scope.spawn(move || {
                join(whole, parts, all.len()).inspect_err(|_| sheet.stop.store(true, Ordering::Relaxed))
            });
            for _ in 0..threads.min(left.len()) {
                let (tell, left, next) = (tell.clone(), &left, &next);
                scope.spawn(move || {
                    while let Some(shard) = left.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let files = (folder.part(*shard), folder.failures(*shard));
                        let outcome = work.shard(&all[*shard], sheet, (&files.0, &files.1));
                        if outcome.is_err() {
                            sheet.stop.store(true, Ordering::Relaxed);
                        }
                        if tell.send((*shard, outcome)).is_err() || sheet.stop.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                });
            }
            drop(tell);
            let mut given = 0;
            loop {
                while given < all.len() && manifest.done.contains_key(&given) {
                    // A joiner that has failed says so when it is waited for.
                    let _ = ready.send(folder.part(given));
                    given += 1;
                }
                match told.recv_timeout(Duration::from_millis(100)) {
                    Ok((shard, Ok(Some(done)))) => {
                        manifest.done.insert(shard, done);
                        folder.save(manifest).inspect_err(|_| sheet.stop.store(true, Ordering::Relaxed))?;
                    }
                    Ok((_, Ok(None))) | Err(mpsc::RecvTimeoutError::Timeout) => {}
                    // Of several failures, the first row's is told.
                    Ok((shard, Err(e))) => {
                        if failed.as_ref().is_none_or(|(before, _)| shard < *before) {
                            failed = Some((shard, e));
                        }
                    }
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
                watch(Progress::Rows { done: sheet.rows.load(Ordering::Relaxed), resumed, of });
            }
            drop(ready);
            if failed.is_none() {
                watch(Progress::Joining);
            }
            Ok(joiner.join().unwrap_or_else(|_| Err(BatchError::Broken("the joining of the parts broke off".into()))))
        })?;
        match failed {
            Some((_, e)) => Err(e),
            None => joined,
        }
    }
}

/// Makes the whole of its parts as they come. They stop coming when a shard has failed: that error is the one to tell.
fn join(mut whole: Whole, parts: mpsc::Receiver<PathBuf>, count: usize) -> Result<u64, BatchError> {
    let mut joined = 0;
    for part in parts {
        whole.add(&part)?;
        joined += 1;
    }
    if joined < count {
        return Err(BatchError::Broken(format!("only {joined} of {count} parts were made")));
    }
    whole.finish()
}

/// Rows to measure with.
pub(crate) const MEASURED: usize = 65_536;

/// Rows from the beginning, to measure with.
fn first_rows(source: &Source) -> Result<RecordBatch, BatchError> {
    match source.shards.first() {
        None => Ok(RecordBatch::new_empty(source.read_schema())),
        Some(shard) => match Rows::open(source, shard, MEASURED)?.next() {
            Some(rows) => rows.map(|(_, rows)| rows.slice(0, rows.num_rows().min(MEASURED))),
            None => Ok(RecordBatch::new_empty(source.read_schema())),
        },
    }
}
