//! Looks at budgets once a minute, and when something is declared. Every process reckons, so that each can say where they
//! stand; one of all tells.

use crate::Money;
use crate::budget::{Alarm, BudgetSpec, Spending, Standing, rfc3339, standing};
use crate::costs::{Costs, Declared, Specs, acting_for};
use crate::error::CostError;
use crate::ports::PortResult;
use crate::report::{By, Request, Usage};
use crate::sql::{self, Priced};
use mainspring_core::{Tenant, Timestamp};
use mainspring_store::Db;
use mainspring_store::sql::{Lead, Leader, Passes};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const LEASE: &str = "cost.controller";
const TTL: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: i64 = 60_000_000;
const HOUR: i64 = 3_600_000_000;
/// Hours that are read again at each look: another server's answers reach the store minutes later.
const AGAIN: i64 = 2 * HOUR;
/// After so long all is read again, for what came later still.
const ANEW: i64 = 6 * HOUR;

/// Who hears of budgets.
pub trait Alarms: Send + Sync + 'static {
    /// Tells where every budget of every tenant is. What was told before and is not among it is over, but for the tenants
    /// of whom `nothing` could be reckoned at this look.
    fn tell<'a>(&'a self, all: &'a [(Tenant, Alarm)], nothing: &'a BTreeSet<Tenant>) -> PortResult<'a, ()>;
}

/// Of an hour, a deployment, a caller and a model; without those that neither a budget nor a price of the tenant asks for.
type Cell = (i64, String, String, String);

/// What a tenant used since a time, by hour.
struct Ledger {
    since: Timestamp,
    /// By what.
    by: Vec<By>,
    /// Read anew at.
    begun: Timestamp,
    /// Read at last at; of what came later nothing is in it.
    read: Timestamp,
    cells: BTreeMap<Cell, Usage>,
}

/// Watches budgets.
pub struct Watch {
    costs: Costs,
    alarms: Arc<dyn Alarms>,
    leader: Leader,
    looked: Option<(Timestamp, Declared)>,
    ledgers: HashMap<Tenant, Ledger>,
    /// Whose journals could not be read at the last look, and why.
    failing: BTreeMap<Tenant, String>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("leader", &self.leader).finish_non_exhaustive()
    }
}

impl Watch {
    /// Over the budgets of `costs`; `owner` is a name that no other process has.
    pub fn new(costs: Costs, alarms: Arc<dyn Alarms>, db: Db, owner: String) -> Self {
        let leader = Leader::new(db, LEASE, owner, TTL);
        Self { costs, alarms, leader, looked: None, ledgers: HashMap::new(), failing: BTreeMap::new() }
    }

    /// Looks once, when a look is due.
    ///
    /// # Errors
    /// [`CostError`] when the database does not answer; nothing is told then, and all is looked at again. A tenant whose
    /// journal cannot be read keeps nobody else from hearing.
    pub async fn pass(&mut self) -> Result<(), CostError> {
        let leads = self.leader.lead().await? != Lead::No;
        let now = self.costs.ctx.now();
        let due = |at: Timestamp| !(0..LOOK).contains(&(now.micros() - at.micros()));
        let declared = self.costs.declared();
        // Who declares a budget or a price, or takes it back, sees at once what follows.
        if self.looked.as_ref().is_some_and(|(at, of)| !due(*at) && *of == declared) {
            return Ok(());
        }
        let standings = self.standings(&declared.budgets, now).await;
        let told = standings.iter().flat_map(|(tenant, s)| s.alarms().into_iter().map(|a| (tenant.clone(), a)));
        let told: Vec<(Tenant, Alarm)> = told.collect();
        self.costs.stand(standings);
        if leads {
            let unread = self.failing.keys().filter(|tenant| !self.ledgers.contains_key(*tenant));
            self.alarms.tell(&told, &unread.cloned().collect()).await?;
        }
        self.looked = Some((now, declared));
        Ok(())
    }

    async fn standings(&mut self, budgets: &Specs<BudgetSpec>, now: Timestamp) -> Vec<(Tenant, Standing)> {
        let tenants: BTreeSet<&Tenant> = budgets.keys().map(|(tenant, _)| tenant).collect();
        self.ledgers.retain(|tenant, _| tenants.contains(tenant));
        self.failing.retain(|tenant, _| tenants.contains(tenant));
        for tenant in tenants {
            let of = || budgets.iter().filter(|((whose, _), _)| whose == tenant).map(|(_, budget)| budget);
            let since = of().map(|b| b.per.around(now).0).min().unwrap_or(now);
            let mut by = vec![By::Hour];
            by.extend(of().any(|b| b.deployment.is_some()).then_some(By::Deployment));
            by.extend(of().any(|b| b.key.is_some()).then_some(By::Key));
            let table = self.costs.prices(tenant, None).ok().flatten();
            by.extend(table.is_some_and(|(_, table)| !table.models().is_empty()).then_some(By::Model));
            match self.read(tenant, (since, now), by).await {
                Ok(()) => {
                    self.failing.remove(tenant);
                }
                Err(error) => {
                    if self.failing.insert(tenant.clone(), error.to_string()).is_none() {
                        tracing::warn!(%tenant, %error, "budgets cannot be reckoned; trying on");
                    }
                }
            }
        }
        let standing = |((tenant, name), spec): (&(Tenant, _), &Arc<BudgetSpec>)| {
            let failed = self.failing.get(tenant);
            let found = match (self.ledgers.get(tenant), failed) {
                (Some(ledger), _) => standing(name, spec, self.spending(tenant, ledger, (spec, now)), now),
                (None, why) => Standing::unknown(name, spec, why.cloned(), now),
            };
            (tenant.clone(), found)
        };
        budgets.iter().map(standing).collect()
    }

    /// Brings a tenant's ledger up to now.
    async fn read(
        &mut self,
        tenant: &Tenant,
        (since, now): (Timestamp, Timestamp),
        by: Vec<By>,
    ) -> Result<(), CostError> {
        let again = now.micros() - AGAIN;
        let again = Timestamp(again - again.rem_euclid(HOUR)).max(since);
        let same = self.ledgers.get(tenant).filter(|l| l.since == since && l.by == by);
        let known = same.filter(|l| now.micros() - l.begun.micros() < ANEW);
        let (from, begun) = known.map_or((since, now), |ledger| (again, ledger.begun));
        let request = Request { from, until: now.plus_micros(LOOK), by: by.clone(), deployment: None, prices: None };
        let rows = self.costs.rows(&acting_for(tenant), &sql::usage(&request, &Priced::default())).await?;
        let mut cells = BTreeMap::new();
        for line in crate::report::lines(&rows, &request, (tenant, None))? {
            let of = |wanted| by.iter().position(|by| *by == wanted).and_then(|i| line.of.get(i).cloned());
            let Some(hour) = of(By::Hour) else { continue };
            let named = |by| of(by).unwrap_or_default();
            let cell = (instant(&hour)?, named(By::Deployment), named(By::Key), named(By::Model));
            cells.insert(cell, line.usage);
        }
        // What the journal no longer keeps was spent all the same.
        let before = self.ledgers.remove(tenant).filter(|l| l.since == since && l.by == by);
        for (cell, usage) in before.into_iter().flat_map(|l| l.cells).filter(|((at, ..), _)| *at < again.micros()) {
            let now = cells.entry(cell).or_insert(usage);
            if now.answers < usage.answers {
                *now = usage;
            }
        }
        self.ledgers.insert(tenant.clone(), Ledger { since, by, begun, read: now, cells });
        Ok(())
    }

    fn spending(&self, tenant: &Tenant, ledger: &Ledger, (spec, now): (&BudgetSpec, Timestamp)) -> Spending {
        // Several tables of which none is meant are as good as none.
        let table = self.costs.prices(tenant, None).ok().flatten();
        let (from, _) = spec.per.around(now);
        let (mut money, mut compute_ns, mut unpriced_ns) = (Money::default(), 0, 0);
        let counts = |(at, deployment, key, _): &Cell| *at >= from.micros() && spec.counts(deployment, key);
        for ((at, _, _, model), usage) in ledger.cells.iter().filter(|(cell, _)| counts(cell)) {
            compute_ns += usage.compute_ns;
            let entry = table.as_ref().and_then(|(_, table)| table.at(Timestamp(*at)));
            let line = crate::report::priced(*usage, model, entry);
            money += line.spent.total();
            unpriced_ns += line.unpriced_ns;
        }
        let money = table.map(|(_, table)| (money, table.currency.clone()));
        let late = self.failing.get(tenant).map(|why| {
            let at = rfc3339(ledger.read);
            format!("what came after {at} could not be read: {why}")
        });
        let missing = late.or_else(|| self.costs.forgotten(tenant, spec.deployment.as_deref(), from));
        Spending { money, compute_ns, unpriced_ns, missing }
    }
}

fn instant(text: &str) -> Result<i64, CostError> {
    let at =
        OffsetDateTime::parse(text, &Rfc3339).map_err(|e| CostError::Broken(format!("{text:?} is no hour: {e}")))?;
    Ok(i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX))
}

impl Passes for Watch {
    type Error = CostError;
    const STANDS_STILL: &'static str = "no budget is watched";

    fn pass(&mut self) -> impl Future<Output = Result<(), CostError>> + Send {
        Self::pass(self)
    }

    fn leader(&mut self) -> &mut Leader {
        &mut self.leader
    }
}
