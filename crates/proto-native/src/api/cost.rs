//! What answers cost, what they brought, and what stands idle.

use super::{Failures, Reply};
use crate::convert::{cost, span};
use crate::dto::cost::{BudgetList, CostHints, CostReport, RoiReport};
use crate::extract::{Params, Seg, deployment_name};
use crate::state::NativeState;
use axum::Json;
use axum::extract::State;
use mainspring_core::{Name, Tenant, Timestamp};
use mainspring_cost::{By, ReadAllCost, ReadCost, Request, RoiRequest};
use mainspring_http::{ApiError, Caller};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which answers, and how they are told apart.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CostQuery {
    /// Told apart by: `deployment`, `version`, `variant`, `tenant`, `key`, `outcome`, `error`, `day`, `hour`, with commas between;
    /// `deployment` when left out. By `tenant`, the default tenant's administrators see all tenants, its other keys may not
    /// ask, and any other tenant sees itself.
    by: Option<String>,
    /// Answers of the last so many seconds; a week when left out. Not with `from`.
    last_seconds: Option<u64>,
    /// Answers from then on, RFC 3339.
    from: Option<String>,
    /// Answers before then, RFC 3339; now when left out.
    until: Option<String>,
    /// Only of this deployment.
    deployment: Option<String>,
    /// The price table; the only one, or the one called `default`, when left out.
    prices: Option<String>,
}

impl CostQuery {
    fn request(&self, s: &NativeState) -> Result<Request, ApiError> {
        let (from, until) =
            cost::window(self.last_seconds, (self.from.as_deref(), self.until.as_deref()), s.ctx.now())?;
        let deployment = self.deployment.as_deref().map(deployment_name).transpose()?;
        let prices = table(self.prices.as_deref())?;
        Ok(Request { from, until, by: cost::by(self.by.as_deref())?, deployment, prices })
    }
}

/// The price table called so.
fn table(text: Option<&str>) -> Result<Option<Name>, ApiError> {
    let named = |text: &str| Name::new(text).map_err(|e| span::wrong(format!("prices is {text:?}: {e}")));
    text.map(named).transpose()
}

/// Which time.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CostWindow {
    /// The last so many seconds; a week when left out. Not with `from`.
    last_seconds: Option<u64>,
    /// From then on, RFC 3339.
    from: Option<String>,
    /// Before then, RFC 3339; now when left out.
    until: Option<String>,
    /// The price table; the only one, or the one called `default`, when left out.
    prices: Option<String>,
}

impl CostWindow {
    fn window(&self, s: &NativeState) -> Result<(Timestamp, Timestamp), ApiError> {
        cost::window(self.last_seconds, (self.from.as_deref(), self.until.as_deref()), s.ctx.now())
    }
}

#[utoipa::path(get, path = "/api/v1/cost", operation_id = "getCost", tag = "cost", params(CostQuery),
    responses((status = 200, description = "What answers took of the engine, and what that costs", body = CostReport), Failures))]
pub(crate) async fn get_cost(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Params(asked): Params<CostQuery>,
) -> Reply<CostReport> {
    let request = asked.request(&s)?;
    let everybody = request.by.contains(&By::Tenant) && who.tenant == Tenant::default();
    let found = if everybody {
        s.costs.report_all(&s.may(&who, ReadAllCost)?, &request).await?
    } else {
        s.costs.report(&s.may(&who, ReadCost)?, &request).await?
    };
    Ok(Json(cost::report(&request, found)))
}

#[utoipa::path(get, path = "/api/v1/cost/budgets", operation_id = "listBudgets", tag = "cost",
    responses((status = 200, description = "Where each stood at this process's last look", body = BudgetList), Failures))]
pub(crate) async fn list_budgets(State(s): State<NativeState>, Caller(who): Caller) -> Reply<BudgetList> {
    let standings = s.costs.standings(&s.may(&who, ReadCost)?);
    Ok(Json(BudgetList { budgets: standings.into_iter().map(cost::budget).collect() }))
}

#[utoipa::path(get, path = "/api/v1/cost/hints", operation_id = "getCostHints", tag = "cost", params(CostWindow),
    responses((status = 200, description = "Sizes and offers, by measured demand", body = CostHints), Failures))]
pub(crate) async fn get_cost_hints(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Params(asked): Params<CostWindow>,
) -> Reply<CostHints> {
    let auth = s.may(&who, ReadCost)?;
    let (window, prices) = (asked.window(&s)?, table(asked.prices.as_deref())?);
    let found = s.costs.hints(&auth, window, prices.as_ref()).await?;
    Ok(Json(cost::hints(window, found)))
}

#[utoipa::path(get, path = "/api/v1/cost/roi/{deployment}", operation_id = "getRoi", tag = "cost",
    params(("deployment" = String, Path, description = "Name"), CostWindow),
    responses((status = 200, description = "What predictions brought, beside what they cost", body = RoiReport), Failures))]
pub(crate) async fn get_roi(
    State(s): State<NativeState>,
    Caller(who): Caller,
    Seg(deployment): Seg<String>,
    Params(asked): Params<CostWindow>,
) -> Reply<RoiReport> {
    let auth = s.may(&who, ReadCost)?;
    let (from, until) = asked.window(&s)?;
    let (deployment, prices) = (deployment_name(&deployment)?, table(asked.prices.as_deref())?);
    let request = RoiRequest { deployment, from, until, prices };
    let found = s.costs.roi(&auth, &request).await?;
    Ok(Json(cost::roi(&request, &found)))
}
