//! What stream detectors say, beside what the monitor's own test does.

use super::{Fold, Transition, TransitionKind, Watch, is, words};
use crate::live::detectors::{Detector, Sight, Turn};
use crate::live::labels;
use crate::live::spec::MonitorSpec;
use mainspring_core::Timestamp;
use std::collections::BTreeSet;

/// Detectors of one monitor, one a column of all rows or of a segment: their whole state is written with each look.
const MOST_DETECTORS: usize = 128;

impl Watch {
    /// Lets the detectors see the rows of a look, those of what was true or all the others; `at` is when that is known.
    pub(super) fn detect(&mut self, fold: Fold<'_>, truth: bool, at: Timestamp) -> Vec<Transition> {
        let Fold { minute, spec, .. } = fold;
        // A time that references are made of is over: nobody is to be told of it now.
        if self.learn_until.is_some_and(|until| minute.at < until) {
            return Vec::new();
        }
        self.take_up_detectors(fold, truth);
        let mut turned: [Vec<usize>; 2] = [Vec::new(), Vec::new()];
        for (place, detector) in self.detectors.iter_mut().enumerate() {
            if labels::is_truth(&detector.column) != truth {
                continue;
            }
            let cells = minute.columns.get(&detector.column);
            let of_segment: Vec<(usize, Timestamp)>;
            let rows = match &detector.segment {
                None => &minute.in_time,
                Some((of, value)) => {
                    let told_by = minute.columns.get(of);
                    let its = |row: usize| told_by.is_some_and(|cells| is(cells, row, value));
                    of_segment = minute.in_time.iter().filter(|(row, _)| its(*row)).copied().collect();
                    &of_segment
                }
            };
            match detector.fold(cells, rows, (minute.at, spec)) {
                Some(Turn::Detected) => turned[0].push(place),
                Some(Turn::Recovered) => turned[1].push(place),
                None => {}
            }
        }
        self.stand(at);
        let told = [TransitionKind::Detected, TransitionKind::Quieted].into_iter().zip(turned);
        let told = told.filter(|(_, these)| !these.is_empty());
        told.map(|(kind, these)| {
            let these: Vec<&Detector> = these.iter().map(|place| &self.detectors[*place]).collect();
            words::detected((kind, at), self, spec, &these)
        })
        .collect()
    }

    /// Begins the detectors that are missing, in the order of the spec, of all rows before those of segments, then of the columns'
    /// names.
    fn take_up_detectors(&mut self, fold: Fold<'_>, truth: bool) {
        let Fold { minute, spec, .. } = fold;
        let values = self.values();
        let there: BTreeSet<_> =
            self.detectors.iter().map(|d| (d.place, d.column.as_str(), d.segment.as_ref())).collect();
        let (mut new, mut left_out) = (Vec::new(), 0);
        for (place, detector) in spec.detectors.iter().enumerate() {
            let apart = values.iter().filter(|_| detector.by_segment).map(Some);
            for part in std::iter::once(None).chain(apart) {
                let wanted = minute.columns.iter().filter(|(name, _)| labels::is_truth(name) == truth);
                let wanted = wanted.filter(|(name, _)| spec.is_detected(detector, name));
                // What a segment is told by is the same in all of its rows.
                for (name, cells) in wanted.filter(|(name, _)| part.is_none_or(|(of, _)| of != *name)) {
                    if there.contains(&(place, name, part)) {
                        continue;
                    }
                    let Some(one) = Detector::new((place, detector), (name, cells), minute.at) else { continue };
                    if self.detectors.len() + new.len() < MOST_DETECTORS {
                        new.push(one.of_segment(part.cloned()));
                    } else {
                        left_out += 1;
                    }
                }
            }
        }
        self.detectors.extend(new);
        self.undetected[usize::from(truth)] = left_out;
    }

    /// All detectors begin anew: what they called is over.
    pub(super) fn outlast_detectors(&mut self, at: Timestamp, spec: &MonitorSpec) -> Option<Transition> {
        if !std::mem::take(&mut self.detecting) {
            return None;
        }
        let these: Vec<&Detector> = self.detecting().collect();
        Some(words::detectors_anew(at, self, spec, &these))
    }

    /// Takes apart what an earlier version kept as one: a drift that detectors alone called ends, and what they call is told by
    /// itself.
    pub(in crate::live) fn part_detectors(&mut self, spec: &MonitorSpec) -> Vec<Transition> {
        let was = (self.drifting, self.detecting);
        self.stand(self.position);
        let mut told = Vec::new();
        if was.0 && !self.drifting {
            told.push(words::called_alone(self, spec));
        }
        if !was.1 && self.detecting {
            let these: Vec<&Detector> = self.detecting().collect();
            told.push(words::detected((TransitionKind::Detected, self.position), self, spec, &these));
        }
        told
    }

    /// Detectors that called a change not long ago.
    pub(in crate::live) fn detecting(&self) -> impl Iterator<Item = &Detector> {
        self.detectors.iter().filter(|detector| detector.sight == Sight::Drift)
    }
}
