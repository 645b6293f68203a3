//! What is estimated of a version's answers, beside what has drifted.

use super::{Transition, TransitionKind, Watch};
use crate::live::outlook::{Due, Outlook, Seen, Turn, words};
use crate::live::rows::Minute;
use crate::live::spec::MonitorSpec;
use mainspring_core::Timestamp;

impl Watch {
    /// Brings what is estimated in line with what is declared: another estimate begins anew, and a version's begins with its
    /// first row, or a window ago where it is asked for later.
    pub(in crate::live) fn plan_estimate(&mut self, spec: &MonitorSpec) -> Option<Transition> {
        let stays = self.outlook.as_ref().is_some_and(|outlook| Some(&outlook.spec) == spec.estimate.as_ref());
        let told = if stays { None } else { self.end_estimate(self.position, "it was declared anew", spec) };
        // A time that references are made of is over: nobody is to be told of it now.
        let learning = self.learn_until.is_some_and(|until| self.position < until);
        let asked = spec.estimate.as_ref().filter(|_| !stays && !learning && !self.version.is_empty());
        if let Some(asked) = asked {
            let before = self.position.plus_micros(-asked.micros(spec));
            self.outlook = Some(Outlook::new(asked.clone(), self.begun.max(before)));
        }
        told
    }

    /// What is to be found out next.
    pub(in crate::live) fn estimate_due(&self, spec: &MonitorSpec) -> Option<Due> {
        self.outlook.as_ref()?.due(self.position, spec)
    }

    /// Takes what was found out.
    pub(in crate::live) fn fold_estimate(
        &mut self,
        due: Due,
        found: Result<Option<Seen>, String>,
        spec: &MonitorSpec,
    ) -> Option<Transition> {
        let turn = self.outlook.as_mut()?.fold(due, found, spec)?;
        let kind = match turn {
            Turn::Degraded => TransitionKind::Degraded,
            Turn::Restored => TransitionKind::Restored,
        };
        Some(words::estimated((kind, due.span().1), self, spec))
    }

    /// Another version answers: what was estimated of the one before is over.
    pub(super) fn outlast_estimate(&mut self, minute: &Minute, spec: &MonitorSpec) -> Option<Transition> {
        self.end_estimate(minute.at, &format!("version {} answers now", minute.version), spec)
    }

    fn end_estimate(&mut self, at: Timestamp, why: &str, spec: &MonitorSpec) -> Option<Transition> {
        let was = self.outlook.take()?;
        was.is_degraded().then(|| words::no_longer_estimated(at, why, (self, &was), spec))
    }
}
