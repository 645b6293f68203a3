//! One table: sealed files and rows that are not sealed yet.

use crate::schema::{align, union};
use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use mainspring_journal::{Reading, SealedFile, Snapshot};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::sync::Arc;

/// Schemas of files by their fingerprint, which their names end with: one footer is read for each.
#[derive(Debug, Default)]
pub(crate) struct Footers(Mutex<HashMap<String, SchemaRef>>);

impl Footers {
    fn of(&self, file: &SealedFile) -> Result<SchemaRef> {
        let name = file.path.file_stem().and_then(|n| n.to_str()).unwrap_or_default();
        let fingerprint = name.rsplit('-').next().unwrap_or(name).to_owned();
        if let Some(known) = self.0.lock().get(&fingerprint) {
            return Ok(Arc::clone(known));
        }
        let schema =
            Arc::clone(ArrowReaderMetadata::load(&File::open(&file.path)?, ArrowReaderOptions::default())?.schema());
        self.0.lock().insert(fingerprint, Arc::clone(&schema));
        Ok(schema)
    }
}

/// Rows of one tenant and kind. Its files are not removed while it lives: keep it until the last row.
#[derive(Debug)]
pub(crate) struct JournalTable {
    /// Columns of the files, then the partition columns.
    schema: SchemaRef,
    files: TableSchema,
    sealed: Vec<PartitionedFile>,
    live: Vec<RecordBatch>,
    _reading: Reading,
}

fn partition_fields() -> Vec<Field> {
    vec![
        Field::new("tenant", DataType::Utf8, true),
        Field::new("deployment", DataType::Utf8, true),
        Field::new("date", DataType::Date32, true),
    ]
}

impl JournalTable {
    /// Reads the footers it does not know, and aligns the rows that are not sealed. Blocking.
    pub fn new(tenant: &str, first: &Schema, snapshot: Snapshot, footers: &Footers) -> Result<Self> {
        let mut schemas = Vec::new();
        for file in &snapshot.files {
            schemas.push(footers.of(file)?);
        }
        let live = snapshot.live.iter().map(|r| r.batch.schema());
        schemas.extend(live);
        schemas.sort_by_key(|s| Arc::as_ptr(s) as usize);
        schemas.dedup_by(|a, b| Arc::ptr_eq(a, b));
        let columns = union(first, schemas.iter().map(AsRef::as_ref));
        let partitions: Vec<_> = partition_fields().into_iter().map(Arc::new).collect();
        let files = TableSchema::builder(columns).with_table_partition_cols(partitions).build();
        let schema = Arc::clone(files.table_schema());
        let sealed = snapshot.files.iter().map(|f| partitioned(tenant, f)).collect::<Result<_>>()?;
        let live = snapshot
            .live
            .iter()
            .map(|rows| {
                let deployment = rows.header.deployment.as_deref().map(str::to_owned);
                let at = rows.batch.column_by_name("at");
                let extra = BTreeMap::from([("tenant", Some(tenant.to_owned())), ("deployment", deployment)]);
                let dated = with_date(&rows.batch, at)?;
                align(&dated, &schema, &extra)
            })
            .collect::<Result<_>>()?;
        Ok(Self { schema, files, sealed, live, _reading: snapshot.reading })
    }
}

/// The day of `at`, which is a partition in sealed files.
fn with_date(batch: &RecordBatch, at: Option<&datafusion::arrow::array::ArrayRef>) -> Result<RecordBatch> {
    let Some(at) = at else { return Ok(batch.clone()) };
    let date = datafusion::arrow::compute::cast(at, &DataType::Date32)?;
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("date", DataType::Date32, true)));
    let mut columns = batch.columns().to_vec();
    columns.push(date);
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// The day of a file, in days since the epoch.
pub(crate) fn day(date: &str) -> Option<i32> {
    match ScalarValue::try_from_string(date.to_owned(), &DataType::Date32) {
        Ok(ScalarValue::Date32(day)) => day,
        _ => None,
    }
}

fn partitioned(tenant: &str, file: &SealedFile) -> Result<PartitionedFile> {
    let absolute = std::path::absolute(&file.path)?;
    let text = absolute.to_str().ok_or_else(|| DataFusionError::Internal("a path is not UTF-8".into()))?;
    let date = ScalarValue::try_from_string(file.date.clone(), &DataType::Date32)?;
    Ok(PartitionedFile::new(text, file.bytes).with_partition_values(vec![
        ScalarValue::Utf8(Some(tenant.to_owned())),
        ScalarValue::Utf8(file.deployment.clone()),
        date,
    ]))
}

#[async_trait]
impl TableProvider for JournalTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters leave out files and row groups; what passes is filtered again by the plan.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let live = MemorySourceConfig::try_new_exec(
            std::slice::from_ref(&self.live),
            Arc::clone(&self.schema),
            projection.cloned(),
        )?;
        if self.sealed.is_empty() {
            return Ok(live);
        }
        let mut source = ParquetSource::new(self.files.clone());
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        let groups = FileGroup::new(self.sealed.clone()).split_files(state.config().target_partitions());
        let scan = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        UnionExec::try_new(vec![DataSourceExec::from_data_source(scan), live])
    }
}
