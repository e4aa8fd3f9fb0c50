//! A family of series told apart by labels, with a bound: when it is full, what is new is counted under
//! `other`, so that no input can fill the memory. Look series up when a configuration is applied, not per
//! request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::text::{self, Series};

/// The label value of what did not fit.
const OTHER: &str = "other";

/// Series of one name and N labels; clones are the same family.
pub struct Family<M, const N: usize> {
    shared: Arc<Shared<M, N>>,
}

struct Shared<M, const N: usize> {
    label_names: [&'static str; N],
    bound: usize,
    /// All series were named at the start, so `other` means nothing and is not shown.
    is_closed: bool,
    series: Mutex<BTreeMap<[String; N], M>>,
    other: M,
}

impl<M: Series, const N: usize> Family<M, N> {
    /// A family that takes new label values until it has `bound` series.
    pub(super) fn bounded(label_names: [&'static str; N], bound: usize) -> Self {
        let shared = Shared { label_names, bound, is_closed: false, series: Mutex::default(), other: M::default() };
        Self { shared: Arc::new(shared) }
    }

    /// A family of exactly these series, which are shown from the start.
    pub(super) fn closed(label_names: [&'static str; N], rows: &[[&str; N]]) -> Self {
        let series: BTreeMap<_, _> = rows.iter().map(|row| (row.map(str::to_owned), M::default())).collect();
        let bound = series.len();
        let shared = Shared { label_names, bound, is_closed: true, series: Mutex::new(series), other: M::default() };
        Self { shared: Arc::new(shared) }
    }

    /// The series of these label values; the one of `other` when the family is full.
    pub fn with(&self, values: [&str; N]) -> M {
        let mut series = self.series();
        let key = values.map(str::to_owned);
        if let Some(found) = series.get(&key) {
            return found.clone();
        }
        if series.len() >= self.shared.bound {
            return self.shared.other.clone();
        }
        series.entry(key).or_default().clone()
    }

    pub(super) fn render(&self, out: &mut String, name: &str) {
        let series = self.series();
        for (values, one) in series.iter() {
            let values = values.each_ref().map(String::as_str);
            one.render(out, name, &text::labels(&self.shared.label_names, &values));
        }
        if !self.shared.is_closed && series.len() >= self.shared.bound {
            self.shared.other.render(out, name, &text::labels(&self.shared.label_names, &[OTHER; N]));
        }
    }

    fn series(&self) -> MutexGuard<'_, BTreeMap<[String; N], M>> {
        // A panic while it was locked left a whole map: the only change to it is an insertion.
        self.shared.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M, const N: usize> Clone for Family<M, N> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<M, const N: usize> std::fmt::Debug for Family<M, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Family").field("labels", &self.shared.label_names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Counter;

    #[test]
    fn a_full_family_counts_the_rest_under_other() {
        let family = Family::<Counter, 1>::bounded(["endpoint"], 2);
        for name in ["a", "b", "c", "d", "a"] {
            family.with([name]).increment();
        }
        let mut out = String::new();
        family.render(&mut out, "cmg_x");
        assert_eq!(out, "cmg_x{endpoint=\"a\"} 2\ncmg_x{endpoint=\"b\"} 1\ncmg_x{endpoint=\"other\"} 2\n");
    }
}
