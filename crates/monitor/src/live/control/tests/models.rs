//! The registry as the controller asks it.

use super::super::super::ports::{Models, Trained};
use super::*;

impl Models for Process {
    fn resolve<'a>(&'a self, _: &'a Tenant, uri: &'a str) -> PortResult<'a, (String, String)> {
        let of = uri.strip_prefix("models:/").and_then(|rest| rest.split_once('/'));
        let of = of.map(|(model, version)| (model.to_owned(), version.to_owned()));
        Box::pin(async move { of.ok_or_else(|| failed("no such alias")) })
    }

    fn training<'a>(&'a self, _: &'a Tenant, model: &'a str, _: &'a str) -> PortResult<'a, Option<Trained>> {
        *self.0.asked.lock() += 1;
        let auth = may(SaveProfile { model: model.to_owned() });
        let source = "the run's dataset churn".to_owned();
        let found = self.0.trained.lock().clone().map(|profile| Trained { profile, source, auth });
        let slowly = self.0.slowly.lock().clone();
        Box::pin(async move {
            if let Some(read) = slowly {
                read.notified().await;
            }
            Ok(found)
        })
    }

    fn training_size<'a>(&'a self, _: &'a Tenant, _: &'a str, version: &'a str) -> PortResult<'a, Option<u64>> {
        let size = self.0.fresh.lock().iter().find(|(of, _)| of.version == version).and_then(|(_, size)| *size);
        Box::pin(async move { Ok(size) })
    }

    fn registered(&self, after: Timestamp) -> PortResult<'_, Vec<FreshVersion>> {
        let of = self.0.fresh.lock().iter().map(|(of, _)| of.clone()).filter(|of| of.at > after).collect();
        Box::pin(async move { Ok(of) })
    }

    fn changed(&self) -> u64 {
        self.0.fresh.lock().len() as u64
    }

    fn unused<'a>(&'a self, _: &'a Tenant, _: &'a str, _: &'a str) -> PortResult<'a, Option<String>> {
        let unused = self.0.unused.lock().clone();
        Box::pin(async move { Ok(unused) })
    }
}
