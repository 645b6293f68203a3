//! The special functions that the tests need. `libm` is pure Rust, so that lgamma and erfc are
//! the same on every machine; the elementary functions are the platform's, which may differ in the last digit.

use std::f64::consts::{PI, SQRT_2};

/// ln Γ(x) for x > 0.
pub(crate) fn ln_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// ln B(a, b).
pub(crate) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// P(Z ≤ z) for a standard normal Z.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / SQRT_2)
}

/// Density of a standard normal at z.
pub(crate) fn normal_pdf(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// ln P(Z ≤ z), also where P(Z ≤ z) is too small for a number: then by the first terms of its
/// asymptotic series (Abramowitz and Stegun 26.2.12).
pub(crate) fn ln_normal_cdf(z: f64) -> f64 {
    if z > -30.0 {
        return normal_cdf(z).ln();
    }
    let s = 1.0 / (z * z);
    let series = s * (-1.0 + s * (3.0 + s * (-15.0 + 105.0 * s)));
    -0.5 * z * z - (-z).ln() - 0.5 * (2.0 * PI).ln() + series.ln_1p()
}

/// The z with P(Z ≤ z) = p, 0 < p < 1: Acklam's rational approximation and two of Halley's steps.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416, 1.0];
    let horner = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, c| sum * x + c);
    let mut z = if p < 0.024_25 {
        let q = (-2.0 * p.ln()).sqrt();
        horner(&C, q) / horner(&D, q)
    } else {
        let q = p - 0.5;
        q * horner(&A, q * q) / horner(&B, q * q)
    };
    for _ in 0..2 {
        let u = (normal_cdf(z) - p) / normal_pdf(z);
        if u.is_finite() {
            z -= u / (1.0 + 0.5 * z * u);
        }
    }
    z
}

/// P(X > x) for chi-square with `k` degrees of freedom: the regularised upper incomplete gamma function by
/// its series or Lentz's continued fraction.
#[expect(clippy::many_single_char_names, reason = "the names of the formula")]
pub(crate) fn chi_square_sf(x: f64, k: f64) -> f64 {
    let (a, x) = (k / 2.0, x / 2.0);
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        while term > sum * 1e-17 {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        return 1.0 - front * sum;
    }
    let tiny = 1e-300;
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / tiny;
    let mut d = 1.0 / b;
    let mut h = d;
    for i in 1..10_000 {
        let an = -f64::from(i) * (f64::from(i) - a);
        b += 2.0;
        d = 1.0 / nonzero(an * d + b, tiny);
        c = nonzero(b + an / c, tiny);
        let step = d * c;
        h *= step;
        if (step - 1.0).abs() < 1e-16 {
            break;
        }
    }
    front * h
}

/// The regularised incomplete beta function I_x(a, b) = P(Beta(a, b) ≤ x), by Lentz's continued fraction.
pub(crate) fn beta_cdf(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_tail(1.0 - x, b, a);
    }
    beta_tail(x, a, b)
}

/// ln P(Beta(a, b) ≤ x), without loss where it is small.
pub(crate) fn ln_beta_cdf(x: f64, a: f64, b: f64) -> f64 {
    if x > (a + 1.0) / (a + b + 2.0) {
        return (-beta_tail(1.0 - x, b, a)).ln_1p();
    }
    ln_beta_tail(x, a, b)
}

/// I_x(a, b) where its continued fraction converges quickly: x at or below the mean.
fn beta_tail(x: f64, a: f64, b: f64) -> f64 {
    ln_beta_tail(x, a, b).exp()
}

#[expect(clippy::many_single_char_names, reason = "the names of the formula")]
fn ln_beta_tail(x: f64, a: f64, b: f64) -> f64 {
    let tiny = 1e-300;
    let mut c = 1.0;
    let mut d = 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0), tiny);
    let mut h = d;
    for m in 1..20_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / nonzero(1.0 + even * d, tiny);
        c = nonzero(1.0 + even / c, tiny);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / nonzero(1.0 + odd * d, tiny);
        c = nonzero(1.0 + odd / c, tiny);
        let step = d * c;
        h *= step;
        if (step - 1.0).abs() < 1e-16 {
            break;
        }
    }
    a * x.ln() + b * (-x).ln_1p() - ln_beta(a, b) - a.ln() + h.ln()
}

/// P(T ≥ t) of Student's t with `freedom` degrees of freedom, t ≥ 0.
pub(crate) fn student_t_sf(t: f64, freedom: f64) -> f64 {
    0.5 * beta_cdf(freedom / (freedom + t * t), freedom / 2.0, 0.5)
}

/// ln n! − (n ln n − n + ½ ln 2πn), the error of Stirling's formula, n ≥ 1.
pub(crate) fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        return ln_gamma(n + 1.0) - (n + 0.5) * n.ln() + n - 0.5 * (2.0 * PI).ln();
    }
    let n2 = n * n;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0 - 1.0 / 1188.0 / n2) / n2) / n2) / n2) / n
}

/// x ln(x / m) + m − x, without cancellation where x is near m.
fn deviance(x: f64, m: f64) -> f64 {
    if (x - m).abs() >= 0.1 * (x + m) {
        return x * (x / m).ln() + m - x;
    }
    let v = (x - m) / (x + m);
    let mut sum = (x - m) * v;
    let mut term = 2.0 * x * v;
    for j in 1..1000 {
        term *= v * v;
        let more = sum + term / f64::from(2 * j + 1);
        if more == sum {
            break;
        }
        sum = more;
    }
    sum
}

/// P(X = k) of n trials with probability p, as Loader (2000) computes it: exact also for large n.
pub(crate) fn binomial_pmf(k: f64, n: f64, p: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 {
        return f64::from(u8::from(k == if p <= 0.0 { 0.0 } else { n }));
    }
    if k == 0.0 {
        return (n * (-p).ln_1p()).exp();
    }
    if k == n {
        return p.powf(n);
    }
    let log = stirling_error(n)
        - stirling_error(k)
        - stirling_error(n - k)
        - deviance(k, n * p)
        - deviance(n - k, n * (1.0 - p));
    log.exp() * (n / (2.0 * PI * k * (n - k))).sqrt()
}

/// eᶻ K_ν(z), the modified Bessel function of the second kind, z > 0: its integral over cosh by the trapezoid rule,
/// which converges doubly exponentially there.
pub(crate) fn bessel_k_scaled(order: f64, z: f64) -> f64 {
    let step = 1.0 / 64.0;
    let mut sum = 0.5;
    for i in 1..100_000 {
        let t = f64::from(i) * step;
        // cosh t − 1 = 2 sinh²(t/2)
        let term = (-2.0 * z * (0.5 * t).sinh().powi(2)).exp() * (order * t).cosh();
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    sum * step
}

fn nonzero(x: f64, tiny: f64) -> f64 {
    if x.abs() < tiny { tiny } else { x }
}

/// ln of the mean of e^x over `values`, without overflow; −∞ for none.
pub(crate) fn ln_mean_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if !top.is_finite() {
        return top;
    }
    let (mut sum, mut n) = (0.0, 0.0);
    for value in values {
        sum += (value - top).exp();
        n += 1.0;
    }
    top + f64::ln(sum / n)
}

/// Nodes and weights of Gauss and Legendre with 16 points on [−1, 1], the positive half: (node, weight).
const GAUSS: [(f64, f64); 8] = [
    (0.095_012_509_837_637_44, 0.189_450_610_455_068_5),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_6),
    (0.458_016_777_657_227_4, 0.169_156_519_395_002_54),
    (0.617_876_244_402_643_7, 0.149_595_988_816_576_73),
    (0.755_404_408_355_003, 0.124_628_971_255_533_87),
    (0.865_631_202_387_831_7, 0.095_158_511_682_492_78),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_894),
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_095),
];

/// The 16 (place, weight) pairs with which the sum of weight · f(place) is the integral of f from `low` to
/// `high`, exactly for polynomials up to degree 31.
pub(crate) fn gauss(low: f64, high: f64) -> impl Iterator<Item = (f64, f64)> {
    let (middle, half) = (f64::midpoint(low, high), 0.5 * (high - low));
    GAUSS.iter().flat_map(move |&(x, w)| [(middle - half * x, half * w), (middle + half * x, half * w)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(ours: f64, want: f64) {
        assert!((ours - want).abs() <= 3e-12 * (1.0 + want.abs()), "{ours} is not {want}");
    }

    /// Values of scipy 1.17.1: `norm.ppf`, `norm.logcdf`, `chi2.sf`, `betainc`, `t.sf`, `binom.pmf`, `kve`.
    #[test]
    fn they_agree_with_published_values() {
        near(normal_quantile(0.975), 1.959_963_984_540_054);
        near(normal_quantile(1e-10), -6.361_340_902_404_056);
        near(normal_cdf(-1.0), 0.158_655_253_931_457_05);
        near(ln_normal_cdf(-40.0), -804.608_442_013_753_9);
        near(chi_square_sf(3.841_458_820_694_124, 1.0), 0.05);
        near(chi_square_sf(30.0, 4.0), 4.894_437_128_029_217e-6);
        near(chi_square_sf(1.0, 3.0), 0.801_251_956_901_2);
        near(beta_cdf(0.5, 2.0, 3.0), 0.6875);
        near(beta_cdf(0.99, 995.0, 12.0), 0.690_474_614_099_820_1);
        near(ln_beta_cdf(0.01, 50.0, 50.0), -164.650_532_758_291_35);
        near(student_t_sf(2.0, 7.0), 0.042_809_664_281_488_025);
        near(binomial_pmf(3.0, 10.0, 0.3), 0.266_827_932);
        near(bessel_k_scaled(0.25, 0.1), 2.967_557_285_268_394_5);
        near(bessel_k_scaled(0.25, 5.0), 0.550_954_576_005_971_3);
    }

    #[test]
    fn the_quadrature_is_exact_for_polynomials() {
        near(gauss(0.0, 2.0).map(|(x, w)| w * x.powi(7)).sum(), 32.0);
    }

    #[test]
    fn a_mean_of_huge_and_tiny_numbers_is_found() {
        near(ln_mean_exp([1000.0, 1000.0].into_iter()), 1000.0);
        assert_eq!(ln_mean_exp([f64::NEG_INFINITY].into_iter()), f64::NEG_INFINITY);
    }
}
