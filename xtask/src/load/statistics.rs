//! Statistics over several runs.

use rocket_multitoken::web::templates::grouped;

use crate::load::Result;
use crate::load::wrk::RunResult;

pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// The median of the ratio of two rates in each round. Other load on the machine in a round affects both rates.
pub fn rate_ratio(numerators: &[RunResult], denominators: &[RunResult]) -> f64 {
    let rounds = numerators.iter().zip(denominators);
    median(rounds.map(|(a, b)| a.rate() / b.rate()))
}

/// A number with separators, such as `1,000,000`.
pub fn format_count(count: usize) -> String {
    grouped(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Converts without loss, and fails beyond `u32::MAX`.
pub fn to_f64(count: usize) -> Result<f64> {
    Ok(u32::try_from(count)?.into())
}
