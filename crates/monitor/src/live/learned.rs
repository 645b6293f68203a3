//! Live rows on their way to be a reference.

use super::narrow::{Kept, wide};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mainspring_stats::presets::{Calibration, NoFinding, Values};
use serde::{Deserialize, Serialize};

/// What a reference that is made of live rows has so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Learned {
    /// Numbers themselves, while it is open which bins they fall into.
    Numbers(Sample),
    /// Numbers in bins that those before them decided on.
    Counted {
        /// All that came, those too that decided on the bins and are not counted in them.
        passed: u64,
        bins: Calibration,
    },
    Texts(Calibration),
}

/// How numbers are learnt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Learning {
    /// After how many the bins are decided on, so that no more need be kept; where there is none, an even sample of all
    /// decides at the end.
    pub pilot: Option<u64>,
    /// How many are kept at most, an even number.
    pub most: usize,
}

impl Learned {
    /// Rows that it has seen.
    pub(super) fn rows(&self) -> u64 {
        match self {
            Self::Numbers(sample) => sample.passed,
            Self::Counted { passed, .. } => *passed,
            Self::Texts(binned) => binned.rows(),
        }
    }

    /// Numbers that it keeps.
    pub(super) fn kept(&self) -> usize {
        match self {
            Self::Numbers(sample) => sample.kept.len(),
            Self::Counted { .. } | Self::Texts(_) => 0,
        }
    }

    /// Whether as many rows as `fewest` are in its bins, where it counts already.
    pub(super) fn has_counted(&self, fewest: u64) -> bool {
        match self {
            Self::Counted { bins, .. } => bins.rows() >= fewest,
            Self::Numbers(_) | Self::Texts(_) => true,
        }
    }

    /// One more number, NaN for one that is missing; says whether numbers are what it has.
    pub(super) fn number(&mut self, value: f64, how: Learning) -> bool {
        if let (Self::Numbers(sample), Some(pilot)) = (&mut *self, how.pilot)
            && sample.passed >= pilot
        {
            *self = Self::Counted { passed: sample.passed, bins: std::mem::take(sample).decided(pilot) };
        }
        match self {
            Self::Numbers(sample) => sample.push(value, how.most),
            Self::Counted { passed, bins } => {
                let bin = bins.bin_of_number(value);
                bins.counts[bin] += 1;
                *passed += 1;
            }
            Self::Texts(_) => return false,
        }
        true
    }

    /// Bins alone, with nothing counted in them.
    pub(super) fn bins(self) -> Calibration {
        match self {
            Self::Numbers(sample) => Calibration::cut(sample.kept.values().collect()),
            Self::Counted { bins, .. } => Calibration { counts: vec![0; bins.counts.len()], ..bins },
            Self::Texts(_) => Calibration::hashed(),
        }
    }

    pub(super) fn calibration(self) -> Result<Calibration, NoFinding> {
        match self {
            Self::Numbers(sample) => {
                let values = sample.kept.values().collect();
                Calibration::new(&Values::Numbers { values, whole: false })
            }
            Self::Counted { bins, .. } | Self::Texts(bins) => Ok(bins),
        }
    }
}

/// An even sample of numbers over all that came: each `stride`th, where the stride doubles when there is no more room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub(super) struct Sample {
    kept: Kept,
    stride: u64,
    passed: u64,
}

impl Default for Sample {
    fn default() -> Self {
        Self { kept: Kept::default(), stride: 1, passed: 0 }
    }
}

impl Sample {
    /// Takes one more number, NaN for one that is missing; holds at most `most`, an even number.
    pub(super) fn push(&mut self, value: f64, most: usize) {
        if self.passed.is_multiple_of(self.stride) && self.kept.len() >= most {
            self.kept.thin();
            self.stride *= 2;
        }
        if self.passed.is_multiple_of(self.stride) {
            self.kept.push(value);
        }
        self.passed += 1;
    }

    /// The bins of what follows. An earlier version kept all numbers until the end: then those beyond `pilot` are counted.
    fn decided(self, pilot: u64) -> Calibration {
        let values: Vec<f64> = self.kept.values().collect();
        if values.len() as u64 > pilot
            && let Ok(counted) = Calibration::new(&Values::Numbers { values: values.clone(), whole: false })
        {
            return counted;
        }
        Calibration::cut(values)
    }
}

/// The stored form: the numbers' bytes in base64, half as long as their digits.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Packed {
        values: String,
        stride: u64,
        passed: u64,
    },
    /// Of an earlier version.
    Plain(Vec<Option<f64>>),
}

impl From<Sample> for Stored {
    fn from(Sample { kept, stride, passed }: Sample) -> Self {
        let bytes: Vec<u8> = kept.values().flat_map(|value| wide(value).to_le_bytes()).collect();
        Self::Packed { values: STANDARD.encode(bytes), stride, passed }
    }
}

impl TryFrom<Stored> for Sample {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        match stored {
            Stored::Packed { values, stride, passed } => {
                let bytes = STANDARD.decode(values).map_err(|e| format!("learnt numbers are not base64: {e}"))?;
                let (eights, rest) = bytes.as_chunks::<8>();
                if !rest.is_empty() || stride == 0 {
                    return Err("learnt numbers are cut off".into());
                }
                Ok(Self { kept: eights.iter().map(|eight| f64::from_le_bytes(*eight)).collect(), stride, passed })
            }
            Stored::Plain(values) => {
                let passed = values.len() as u64;
                Ok(Self { kept: values.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect(), stride: 1, passed })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_even_over_all_that_came_and_the_same_after_it_was_stored() {
        let mut sample = Sample::default();
        for i in 0..100_000_u32 {
            sample.push(if i % 1_000 == 0 { f64::NAN } else { f64::from(i) }, 512);
            if i % 777 == 0 {
                let text = serde_json::to_string(&sample).unwrap();
                assert_eq!(serde_json::from_str::<Sample>(&text).unwrap(), sample);
            }
        }
        assert_eq!((sample.passed, sample.stride), (100_000, 256));
        let kept: Vec<f64> = sample.kept.values().collect();
        assert!((256..=512).contains(&kept.len()), "{}", kept.len());
        let even = kept.iter().enumerate().all(|(i, v)| v.is_nan() || *v == (i * 256) as f64);
        assert!(even, "{kept:?}");
    }

    /// The first rows decide on the bins, the others are counted; and a state that an earlier version left, with all numbers in
    /// it, is a reference of as many rows as it would have been.
    #[test]
    fn numbers_become_counts_once_the_bins_are_known() {
        let how = Learning { pilot: Some(500), most: 8_192 };
        let value = |i: u32| if i % 50 == 7 { f64::NAN } else { f64::from(i.wrapping_mul(2_654_435_761) >> 8) };
        let mut learned = Learned::Numbers(Sample::default());
        for i in 0..2_000 {
            assert!(learned.number(value(i), how));
            assert_eq!(learned.kept(), if i < 500 { i as usize + 1 } else { 0 });
            assert_eq!((learned.rows(), learned.has_counted(200)), (u64::from(i) + 1, !(500..699).contains(&i)));
            if i % 300 == 0 {
                let text = serde_json::to_string(&learned).unwrap();
                assert_eq!(serde_json::from_str::<Learned>(&text).unwrap(), learned);
            }
        }
        let expected = {
            let mut bins = Calibration::cut((0..500).map(value).collect());
            bins.add(&Values::Numbers { values: (500..2_000).map(value).collect(), whole: false });
            bins
        };
        assert_eq!(learned.calibration(), Ok(expected));
        let mut old = Sample::default();
        (0..1_500).for_each(|i| old.push(value(i), 16_640));
        let mut old = Learned::Numbers(old);
        (1_500..2_000).for_each(|i| assert!(old.number(value(i), how)));
        let counted = old.calibration().unwrap().rows();
        assert!((1_850..=1_900).contains(&counted), "{counted}: a tenth of 1,500 decided on the bins");
        assert!(!Learned::Texts(Calibration::hashed()).number(1.0, how));
    }

    #[test]
    fn what_an_earlier_version_stored_is_read_and_what_is_cut_off_is_not() {
        let read: Sample = serde_json::from_str("[1.5, null, -2]").unwrap();
        let values: Vec<f64> = read.kept.values().collect();
        assert!(values[0] == 1.5 && values[1].is_nan() && values[2] == -2.0 && read.passed == 3);
        for wrong in [r#"{"values": "AAAA", "stride": 1, "passed": 1}"#, r#"{"values": "", "stride": 0, "passed": 0}"#]
        {
            assert!(serde_json::from_str::<Sample>(wrong).is_err(), "{wrong}");
        }
    }
}
