//! Of several runs, the figures that count.

use multitoken::web::templates::grouped;

use crate::Outcome;
use crate::wrk::Run;

/// The middle one, or what lies between the two in the middle.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => figures[middle],
        _ => f64::midpoint(figures[middle - 1], figures[middle]),
    }
}

/// The median of what the rates of one are to those of another, round by round: what else the machine
/// did in a round fell on both.
pub fn ratio(ones: &[Run], others: &[Run]) -> f64 {
    let rounds = ones.iter().zip(others);
    median(rounds.map(|(one, other)| one.rate() / other.rate()))
}

/// A number for people: `1,000,000`.
pub fn number(number: usize) -> String {
    grouped(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A number to compute with.
///
/// # Errors
/// There are more than four thousand million of something.
pub fn exact(number: usize) -> Outcome<f64> {
    Ok(u32::try_from(number)?.into())
}
