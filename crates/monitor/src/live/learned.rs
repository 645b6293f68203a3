//! Live rows on their way to be a reference.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mainspring_stats::presets::{Calibration, NoFinding, Values};
use serde::{Deserialize, Serialize};

/// What a reference that is made of live rows has so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Learned {
    Numbers(Sample),
    Texts(Calibration),
}

impl Learned {
    /// Rows that it has seen.
    pub(super) fn rows(&self) -> u64 {
        match self {
            Self::Numbers(sample) => sample.passed,
            Self::Texts(binned) => binned.rows(),
        }
    }

    /// Numbers that it keeps.
    pub(super) fn kept(&self) -> usize {
        match self {
            Self::Numbers(sample) => sample.kept.len(),
            Self::Texts(_) => 0,
        }
    }

    /// Bins alone, with nothing counted in them.
    pub(super) fn bins(self) -> Calibration {
        match self {
            Self::Numbers(sample) => Calibration::cut(sample.kept.values().collect()),
            Self::Texts(_) => Calibration::hashed(),
        }
    }

    pub(super) fn calibration(self) -> Result<Calibration, NoFinding> {
        match self {
            Self::Numbers(sample) => {
                let values = sample.kept.values().collect();
                Calibration::new(&Values::Numbers { values, whole: false })
            }
            Self::Texts(binned) => Ok(binned),
        }
    }
}

/// Numbers by their bits, NaN for one that is missing: half as wide while each is what a narrow number can say, as those
/// that a model takes as such are.
#[derive(Debug, Clone, PartialEq)]
enum Kept {
    Narrow(Vec<u32>),
    Wide(Vec<u64>),
}

/// Room that is made at a time: a minute's rows. Doubling would hold more than is ever filled.
const MORE: usize = 256;

fn push<T>(into: &mut Vec<T>, value: T) {
    if into.len() == into.capacity() {
        into.reserve_exact(MORE);
    }
    into.push(value);
}

fn every_other<T>(values: &mut Vec<T>) {
    let mut at = 0_usize;
    values.retain(|_| {
        at += 1;
        at % 2 == 1
    });
}

impl Kept {
    fn len(&self) -> usize {
        match self {
            Self::Narrow(bits) => bits.len(),
            Self::Wide(bits) => bits.len(),
        }
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        let (narrow, wide) = match self {
            Self::Narrow(bits) => (bits.as_slice(), [].as_slice()),
            Self::Wide(bits) => ([].as_slice(), bits.as_slice()),
        };
        let narrow = narrow.iter().map(|bits| f64::from(f32::from_bits(*bits)));
        narrow.chain(wide.iter().map(|bits| f64::from_bits(*bits)))
    }

    fn push(&mut self, value: f64) {
        let missing = value.is_nan();
        if let Self::Narrow(bits) = self {
            let narrow = value as f32;
            if missing || f64::from(narrow).to_bits() == value.to_bits() {
                push(bits, if missing { f32::NAN } else { narrow }.to_bits());
                return;
            }
            *self = Self::Wide(self.values().map(wide).collect());
        }
        if let Self::Wide(bits) = self {
            push(bits, wide(value));
        }
    }

    fn thin(&mut self) {
        match self {
            Self::Narrow(bits) => every_other(bits),
            Self::Wide(bits) => every_other(bits),
        }
    }
}

fn wide(value: f64) -> u64 {
    if value.is_nan() { f64::NAN } else { value }.to_bits()
}

impl FromIterator<f64> for Kept {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut kept = Self::Narrow(Vec::new());
        values.into_iter().for_each(|value| kept.push(value));
        kept
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
        Self { kept: Kept::Narrow(Vec::new()), stride: 1, passed: 0 }
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

    /// Narrow numbers are kept as such, and nothing is lost of those that are not.
    #[test]
    fn numbers_are_as_wide_as_they_need_to_be() {
        let of = |values: &[f64]| {
            let mut sample = Sample::default();
            for value in values {
                sample.push(*value, 512);
            }
            let kept: Vec<u64> = sample.kept.values().map(f64::to_bits).collect();
            assert_eq!(kept, values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
            matches!(sample.kept, Kept::Narrow(_))
        };
        assert!(of(&[0.5, -0.0, f64::NAN, f64::from(0.1_f32), 16_777_216.0]));
        assert!(!of(&[0.5, f64::NAN, 0.1]) && !of(&[16_777_217.0]) && !of(&[f64::MAX, 1.0]));
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
