//! The face of the domain: what is declared, and what is asked.

use crate::action::{ReadAllCost, ReadCost};
use crate::budget::{BudgetSpec, Standing};
use crate::error::CostError;
use crate::ports::{House, Stored};
use crate::prices::PriceSpec;
use crate::report::{self, By, Kept, Line, Report, Request};
use crate::sql::{self, Priced};
use crate::value::ValueSpec;
use mainspring_core::{Authorized, Ctx, Gate, Name, Principal, Tenant, Timestamp};
use mainspring_query::{Query, QueryJournal};
use parking_lot::RwLock;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use time::OffsetDateTime;

/// Lines of a report.
pub const MOST_LINES: usize = 20_000;
/// Rows that a look at every minute or hour may have.
pub(crate) const MOST_ROWS: usize = 1_000_000;
/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
/// The table that counts where there are several.
const DEFAULT: &str = "default";

/// What is declared of a kind.
pub(crate) type Specs<T> = BTreeMap<(Tenant, Name), Arc<T>>;

/// What budgets are reckoned from, beside the journal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declared {
    pub budgets: Specs<BudgetSpec>,
    tables: Specs<PriceSpec>,
}

/// What answers cost. Cheap to clone.
#[derive(Clone)]
pub struct Costs {
    pub(crate) query: Query,
    pub(crate) gate: Gate,
    pub(crate) ctx: Ctx,
    pub(crate) house: Arc<dyn House>,
    tables: Arc<RwLock<Specs<PriceSpec>>>,
    budgets: Arc<RwLock<Specs<BudgetSpec>>>,
    values: Arc<RwLock<Specs<ValueSpec>>>,
    /// Where budgets stood at the last look.
    standings: Arc<RwLock<Vec<(Tenant, Standing)>>>,
}

impl std::fmt::Debug for Costs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Costs").field("query", &self.query).finish_non_exhaustive()
    }
}

impl Costs {
    /// Over the journal of `query`; `gate` is asked again for each tenant whose journal is read.
    pub fn new(query: &Query, house: Arc<dyn House>, gate: Gate, ctx: Ctx) -> Self {
        Self {
            query: query.reaching(MOST_ROWS),
            gate,
            ctx,
            house,
            tables: Arc::default(),
            budgets: Arc::default(),
            values: Arc::default(),
            standings: Arc::default(),
        }
    }

    /// Takes a price table's declaration.
    pub fn declare_prices(&self, tenant: &Tenant, name: &Name, spec: PriceSpec) {
        self.tables.write().insert((tenant.clone(), name.clone()), Arc::new(spec));
    }

    /// A price table is no longer declared.
    pub fn withdraw_prices(&self, tenant: &Tenant, name: &Name) {
        self.tables.write().remove(&(tenant.clone(), name.clone()));
    }

    /// Takes a budget's declaration.
    pub fn declare_budget(&self, tenant: &Tenant, name: &Name, spec: BudgetSpec) {
        self.budgets.write().insert((tenant.clone(), name.clone()), Arc::new(spec));
    }

    /// A budget is no longer declared.
    pub fn withdraw_budget(&self, tenant: &Tenant, name: &Name) {
        self.budgets.write().remove(&(tenant.clone(), name.clone()));
        self.standings.write().retain(|(whose, s)| whose != tenant || s.name != *name);
    }

    /// Takes a declaration of what outcomes are worth.
    ///
    /// # Errors
    /// Which other declaration is of the same deployment.
    pub fn declare_value(&self, tenant: &Tenant, name: &Name, spec: ValueSpec) -> Result<(), String> {
        let mut all = self.values.write();
        let same = |((whose, other), of): &(&(Tenant, Name), &Arc<ValueSpec>)| {
            whose == tenant && other != name && of.deployment == spec.deployment
        };
        if let Some(((_, other), _)) = all.iter().find(same) {
            return Err(format!(
                "OutcomeValue/{other} says already what {} brings; delete one of them",
                spec.deployment
            ));
        }
        all.insert((tenant.clone(), name.clone()), Arc::new(spec));
        Ok(())
    }

    /// What outcomes are worth is no longer declared.
    pub fn withdraw_value(&self, tenant: &Tenant, name: &Name) {
        self.values.write().remove(&(tenant.clone(), name.clone()));
    }

    /// What a deployment's outcomes are worth.
    pub(crate) fn value_of(&self, tenant: &Tenant, deployment: &Name) -> Option<Arc<ValueSpec>> {
        let all = self.values.read();
        let of = all.iter().find(|((whose, _), v)| whose == tenant && v.deployment == deployment.as_str());
        of.map(|(_, value)| Arc::clone(value))
    }

    /// Every budget and every price table of every tenant.
    pub(crate) fn declared(&self) -> Declared {
        Declared { budgets: self.budgets.read().clone(), tables: self.tables.read().clone() }
    }

    /// Why something is missing of what a deployment, or all of a tenant, took since `from`: it is no longer kept.
    pub(crate) fn forgotten(&self, tenant: &Tenant, deployment: Option<&str>, from: Timestamp) -> Option<String> {
        let days = self.house.days(tenant, deployment)?;
        let today = self.ctx.now().micros().div_euclid(DAY);
        let first = Timestamp((today + 1 - i64::from(days)) * DAY);
        let date = OffsetDateTime::from_unix_timestamp(first.micros() / 1_000_000).ok()?.date();
        (from < first).then(|| format!("the journal is kept for {days} days, so what was before {date} is not counted"))
    }

    /// Keeps where budgets stand.
    pub(crate) fn stand(&self, all: Vec<(Tenant, Standing)>) {
        *self.standings.write() = all;
    }

    /// Where the budgets of the caller's tenant stood at this process's last look.
    pub fn standings(&self, auth: &Authorized<ReadCost>) -> Vec<Standing> {
        let all = self.standings.read();
        all.iter().filter(|(whose, _)| whose == auth.tenant()).map(|(_, s)| s.clone()).collect()
    }

    /// Whose budgets stood anywhere at this process's last look: for whoever tells what all of them do.
    pub fn tenants(&self) -> Vec<Tenant> {
        let mut all: Vec<Tenant> = self.standings.read().iter().map(|(whose, _)| whose.clone()).collect();
        all.dedup();
        all
    }

    /// Where one budget stood at this process's last look.
    pub fn standing(&self, tenant: &Tenant, name: &Name) -> Option<Standing> {
        let all = self.standings.read();
        all.iter().find(|(whose, s)| whose == tenant && s.name == *name).map(|(_, s)| s.clone())
    }

    /// The table of that name, the only one, or the one called `default`; `None` where none is declared.
    pub(crate) fn prices(
        &self,
        tenant: &Tenant,
        wanted: Option<&Name>,
    ) -> Result<Option<(Name, Arc<PriceSpec>)>, CostError> {
        let all = self.tables.read();
        let own: Vec<(&Name, &Arc<PriceSpec>)> =
            all.iter().filter(|((whose, _), _)| whose == tenant).map(|((_, name), table)| (name, table)).collect();
        let known = || own.iter().map(|(name, _)| name.to_string()).collect();
        let named = |wanted: &str| own.iter().find(|(name, _)| name.as_str() == wanted);
        let found = match (wanted, own.as_slice()) {
            (Some(wanted), _) => Some(
                named(wanted.as_str())
                    .ok_or_else(|| CostError::NoTable { name: wanted.to_string(), known: known() })?,
            ),
            (None, []) => None,
            (None, [one]) => Some(one),
            (None, _) => Some(named(DEFAULT).ok_or_else(|| CostError::Tables { known: known() })?),
        };
        Ok(found.map(|(name, table)| ((*name).clone(), Arc::clone(table))))
    }

    /// What the answers of the caller's tenant cost.
    ///
    /// # Errors
    /// [`CostError`]: which table is missing, or what the journal said.
    pub async fn report(&self, auth: &Authorized<ReadCost>, request: &Request) -> Result<Report, CostError> {
        let tenant = auth.tenant();
        let prices = self.prices(tenant, request.prices.as_ref())?;
        let table = prices.as_ref().map(|(_, table)| &**table);
        let lines = self.lines(auth.who(), request, table).await?;
        // What is not over yet is not paid yet.
        let time = (request.from, request.until.min(self.ctx.now()));
        let of =
            |s: &Stored| request.deployment.as_ref().is_none_or(|name| s.what == "journal" && s.of == name.as_str());
        let kept = |stored: Stored| {
            let cost = table.and_then(|table| table.kept(stored.bytes, time));
            Kept { stored, cost }
        };
        let kept = self.house.stored(auth.who()).await?.into_iter().filter(of).map(kept).collect();
        let mut report = Report { kept, ..self.made(request, prices, lines) };
        report.notes.extend(self.forgotten(tenant, request.deployment.as_ref().map(Name::as_str), request.from));
        Ok(report)
    }

    /// What the answers of every tenant cost, by the default tenant's table.
    ///
    /// # Errors
    /// As [`Costs::report`]; [`CostError::OtherTenants`] for anybody but the default tenant.
    pub async fn report_all(&self, auth: &Authorized<ReadAllCost>, request: &Request) -> Result<Report, CostError> {
        if *auth.tenant() != Tenant::default() {
            return Err(CostError::OtherTenants(auth.tenant().to_string()));
        }
        let prices = self.prices(auth.tenant(), request.prices.as_ref())?;
        let mut lines = Vec::new();
        let tenants = self.house.tenants().await?;
        for tenant in &tenants {
            let who = acting_for(tenant);
            lines.extend(self.lines(&who, request, prices.as_ref().map(|(_, table)| &**table)).await?);
        }
        let mut report = self.made(request, prices, lines);
        let of = request.deployment.as_ref().map(Name::as_str);
        report.notes.extend(tenants.iter().find_map(|tenant| self.forgotten(tenant, of, request.from)));
        Ok(report)
    }

    async fn lines(
        &self,
        who: &Arc<Principal>,
        request: &Request,
        prices: Option<&PriceSpec>,
    ) -> Result<Vec<Line>, CostError> {
        let rows = self.rows(who, &sql::usage(request, &Priced::of(prices))).await?;
        if rows.len() > MOST_LINES {
            return Err(CostError::Many(MOST_LINES));
        }
        report::lines(&rows, request, (&who.tenant, prices))
    }

    /// Rows of the journal that `who` may see.
    pub(crate) async fn rows(&self, who: &Arc<Principal>, sql: &str) -> Result<Vec<Vec<Value>>, CostError> {
        let auth = self.gate.authorize(who, QueryJournal)?;
        let answer = self.query.sql(&auth, sql).await?;
        if answer.truncated() { Err(CostError::Many(MOST_ROWS)) } else { Ok(answer.values()) }
    }

    fn made(&self, request: &Request, prices: Option<(Name, Arc<PriceSpec>)>, mut lines: Vec<Line>) -> Report {
        let mut total = Line::default();
        for line in &lines {
            total.add(line);
        }
        let by_time = matches!(request.by.first(), Some(By::Day | By::Hour));
        if !by_time {
            lines.sort_by(|a, b| b.usage.compute_ns.cmp(&a.usage.compute_ns).then_with(|| a.of.cmp(&b.of)));
        }
        let whole = request.deployment.is_none();
        let time = (request.from, request.until.min(self.ctx.now()));
        let host = prices.as_ref().filter(|_| whole).and_then(|(_, table)| report::host(table, time, &total));
        let mut notes = Vec::new();
        if let (Some((name, table)), 1..) = (&prices, total.unpriced_ns) {
            let from = table.entries.first().map_or_else(String::new, |e| e.from.to_string());
            let seconds = total.unpriced_ns as f64 / 1e9;
            notes.push(format!(
                "{seconds:.3} s of compute have no price: {name} begins on {from}, or has no price of compute then"
            ));
        }
        if host.is_some_and(|host| host.used > host.paid) {
            notes.push(
                "answers took more than the machines cost: more calls ran at once than there are CPUs, or the table has too \
                 few machines, or its computeSecond is too dear"
                    .to_owned(),
            );
        }
        if prices.is_none() {
            notes.push("no price table is declared, so there is no money in this report".to_owned());
        }
        Report {
            prices: prices.map(|(name, table)| (name, table.currency.clone())),
            lines,
            total,
            kept: Vec::new(),
            host,
            notes,
        }
    }
}

/// The server, looking at what a tenant has.
pub(crate) fn acting_for(tenant: &Tenant) -> Arc<Principal> {
    Arc::new(Principal { tenant: tenant.clone(), ..Principal::system() })
}
