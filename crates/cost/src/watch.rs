//! Looks at budgets once a minute. Every process reckons, so that each can say where they stand; one of all tells.

use crate::budget::{Alarm, BudgetSpec, Spending, Standing, standing};
use crate::costs::{Costs, acting_for};
use crate::error::CostError;
use crate::ports::PortResult;
use crate::report::{By, Request, Usage};
use crate::{Money, sql};
use mainspring_core::{Name, Tenant, Timestamp};
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
    /// Tells where every budget of every tenant is. What was told before and is not among it is over.
    fn tell<'a>(&'a self, all: &'a [(Tenant, Alarm)]) -> PortResult<'a, ()>;
}

/// Of an hour, a deployment and a caller.
type Cell = (i64, String, String);

/// What a tenant used since a time, by hour.
struct Ledger {
    since: Timestamp,
    /// Read anew at.
    begun: Timestamp,
    cells: BTreeMap<Cell, Usage>,
}

/// Watches budgets.
pub struct Watch {
    costs: Costs,
    alarms: Arc<dyn Alarms>,
    leader: Leader,
    looked: Option<(Timestamp, Budgets)>,
    ledgers: HashMap<Tenant, Ledger>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("leader", &self.leader).finish_non_exhaustive()
    }
}

/// The budgets that are declared.
type Budgets = BTreeMap<(Tenant, Name), Arc<BudgetSpec>>;

impl Watch {
    /// Over the budgets of `costs`; `owner` is a name that no other process has.
    pub fn new(costs: Costs, alarms: Arc<dyn Alarms>, db: Db, owner: String) -> Self {
        let leader = Leader::new(db, LEASE, owner, TTL);
        Self { costs, alarms, leader, looked: None, ledgers: HashMap::new() }
    }

    /// Looks once, when a look is due.
    ///
    /// # Errors
    /// [`CostError`]; nothing is told then, and all is looked at again.
    pub async fn pass(&mut self) -> Result<(), CostError> {
        let leads = self.leader.lead().await? != Lead::No;
        let now = self.costs.ctx.now();
        let due = |at: Timestamp| !(0..LOOK).contains(&(now.micros() - at.micros()));
        let budgets = self.costs.budgets();
        // Who declares one, or takes one back, sees it at once.
        if self.looked.as_ref().is_some_and(|(at, of)| !due(*at) && *of == budgets) {
            return Ok(());
        }
        let standings = self.standings(&budgets, now).await?;
        let told = standings.iter().flat_map(|(tenant, s)| s.alarms().into_iter().map(|a| (tenant.clone(), a)));
        let told: Vec<(Tenant, Alarm)> = told.collect();
        self.costs.stand(standings);
        if leads {
            self.alarms.tell(&told).await?;
        }
        self.looked = Some((now, budgets));
        Ok(())
    }

    async fn standings(&mut self, budgets: &Budgets, now: Timestamp) -> Result<Vec<(Tenant, Standing)>, CostError> {
        let tenants: BTreeSet<&Tenant> = budgets.keys().map(|(tenant, _)| tenant).collect();
        self.ledgers.retain(|tenant, _| tenants.contains(tenant));
        for tenant in tenants {
            let of = budgets.iter().filter(|((whose, _), _)| whose == tenant);
            let since = of.map(|(_, b)| b.per.around(now).0).min().unwrap_or(now);
            self.read(tenant, since, now).await?;
        }
        let mut found = Vec::new();
        for ((tenant, name), spec) in budgets {
            let Some(ledger) = self.ledgers.get(tenant) else { continue };
            let spending = self.spending(tenant, ledger, (spec, now));
            found.push((tenant.clone(), standing(name, spec, spending, now)));
        }
        Ok(found)
    }

    /// Brings a tenant's ledger up to now.
    async fn read(&mut self, tenant: &Tenant, since: Timestamp, now: Timestamp) -> Result<(), CostError> {
        let known = self.ledgers.get(tenant).filter(|l| l.since == since && now.micros() - l.begun.micros() < ANEW);
        let (from, begun) = match known {
            Some(ledger) => {
                let again = now.micros() - AGAIN;
                (Timestamp(again - again.rem_euclid(HOUR)).max(since), ledger.begun)
            }
            None => (since, now),
        };
        let until = now.plus_micros(LOOK);
        let by = vec![By::Hour, By::Deployment, By::Key];
        let request = Request { from, until, by, deployment: None, prices: None };
        let rows = self.costs.rows(&acting_for(tenant), &sql::usage(&request, &[])).await?;
        let lines = crate::report::lines(&rows, &request, (tenant, None))?;
        let ledger = self.ledgers.entry(tenant.clone()).or_insert(Ledger { since, begun, cells: BTreeMap::new() });
        (ledger.since, ledger.begun) = (since, begun);
        ledger.cells.retain(|(at, ..), _| *at >= since.micros() && *at < from.micros());
        for line in lines {
            let mut of = line.of.into_iter();
            let (Some(hour), Some(deployment), Some(key)) = (of.next(), of.next(), of.next()) else { continue };
            ledger.cells.insert((instant(&hour)?, deployment, key), line.usage);
        }
        Ok(())
    }

    fn spending(
        &self,
        tenant: &Tenant,
        ledger: &Ledger,
        (spec, now): (&crate::budget::BudgetSpec, Timestamp),
    ) -> Spending {
        // Several tables of which none is meant are as good as none.
        let table = self.costs.prices(tenant, None).ok().flatten();
        let (from, _) = spec.per.around(now);
        let (mut money, mut compute_ns, mut unpriced_ns) = (Money::default(), 0, 0);
        let counts = |(at, deployment, key): &Cell| *at >= from.micros() && spec.counts(deployment, key);
        for ((at, ..), usage) in ledger.cells.iter().filter(|(cell, _)| counts(cell)) {
            compute_ns += usage.compute_ns;
            let entry = table.as_ref().and_then(|(_, table)| table.at(Timestamp(*at)));
            let line = crate::report::priced(*usage, entry);
            money += line.spent.total();
            unpriced_ns += line.unpriced_ns;
        }
        Spending { money: table.map(|(_, table)| (money, table.currency.clone())), compute_ns, unpriced_ns }
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
