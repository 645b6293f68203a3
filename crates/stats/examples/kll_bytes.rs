//! The first N numbers of the oracles' stream with seed N, as DataSketches stores their sketch, in hexadecimal: what
//! `oracles/run.py` gives to the Python library.

use mainspring_stats::Kll;
use std::io::Write;

fn main() -> std::io::Result<()> {
    for n in std::env::args().skip(1).filter_map(|text| text.parse::<u64>().ok()) {
        let mut state = n;
        let mut sketch = Kll::new(200);
        for _ in 0..n {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            sketch.extend(&[((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64]);
        }
        for byte in sketch.to_datasketches() {
            write!(std::io::stdout(), "{byte:02x}")?;
        }
        writeln!(std::io::stdout())?;
    }
    Ok(())
}
