//! Figures, the bars that they should reach, and the report of a bench.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::machine::{IDLE_MIN, Machine, OTHERS_MAX};

/// Where a figure should lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bar {
    /// Not above.
    AtMost(f64),
    /// Not below.
    AtLeast(f64),
}

impl Bar {
    fn reached(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bar: Option<Bar>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aim: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

impl Figure {
    /// A figure that only informs.
    #[must_use]
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, bar: None, aim: None, met: None }
    }

    /// The same with its bar. Not a number reaches none.
    #[must_use]
    pub fn with_bar(self, bar: Bar) -> Self {
        Self { met: Some(bar.reached(self.value)), bar: Some(bar), ..self }
    }

    /// The same with what is aimed at beyond the bar.
    #[must_use]
    pub fn with_aim(self, aim: f64) -> Self {
        Self { aim: Some(aim), ..self }
    }
}

/// What the figures are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// The figures mean nothing.
    Void,
    /// Every bar is reached.
    Met,
    /// Some are not.
    Missed,
}

/// Everything that a bench prints.
#[derive(Debug, Serialize)]
pub struct Report<D> {
    bench: &'static str,
    verdict: Verdict,
    /// Why the figures are void.
    void: Vec<String>,
    machine: Machine,
    figures: Vec<Figure>,
    /// What the figures were made of.
    details: D,
}

impl<D: Serialize> Report<D> {
    /// `void` holds the reasons why the figures mean nothing.
    ///
    /// # Errors
    /// The machine cannot be described.
    pub fn new(bench: &'static str, void: Vec<String>, figures: Vec<Figure>, details: D) -> Result<Self> {
        let verdict = match (void.is_empty(), figures.iter().any(|figure| figure.met == Some(false))) {
            (false, _) => Verdict::Void,
            (true, true) => Verdict::Missed,
            (true, false) => Verdict::Met,
        };
        Ok(Self { bench, verdict, void, machine: Machine::get()?, figures, details })
    }

    /// JSON to standard output and into `folder`, a table to standard error.
    ///
    /// # Errors
    /// The file cannot be written.
    #[allow(clippy::print_stdout)] // a bench's result is what it prints
    pub fn publish(&self, folder: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        self.print_table();
        println!("{json}");
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file = folder.join(format!("{}.json", self.bench));
        std::fs::write(&file, json + "\n").with_context(|| format!("cannot write {}", file.display()))
    }

    fn print_table(&self) {
        let width = self.figures.iter().map(|figure| figure.name.len()).max().unwrap_or(0);
        eprintln!("\n{:<width$} {:>12} {:<10} bar", self.bench, "", "");
        for figure in &self.figures {
            let bar = match figure.bar {
                Some(Bar::AtMost(most)) => format!("<= {most:.3}"),
                Some(Bar::AtLeast(least)) => format!(">= {least:.3}"),
                None => String::new(),
            };
            let missed = if figure.met == Some(false) { "  MISSED" } else { "" };
            eprintln!("{:<width$} {:>12.3} {:<10} {bar}{missed}", figure.name, figure.value, figure.unit);
        }
        eprintln!("\n{:?}", self.verdict);
        for reason in &self.void {
            eprintln!("  {reason}");
        }
    }
}

/// Why a stretch of a bench is void, if so: the machine was less than 10 % idle before it, or others took more than
/// 10 % of it meanwhile.
#[must_use]
pub fn void_reason(stretch: &str, idle_before: f64, others: f64) -> Option<String> {
    let (idle, taken) = (idle_before * 100.0, others * 100.0);
    (idle_before < IDLE_MIN || others > OTHERS_MAX)
        .then(|| format!("{stretch}: the machine was {idle:.0} % idle before, and others took {taken:.0} % of it"))
}

/// The arguments that every bench of a whole node has.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// The binary to measure.
    #[arg(long, env = "HEADWATER_BIN", default_value = "target/release/headwater")]
    pub binary: PathBuf,
    /// Where the JSON goes besides standard output.
    #[arg(long, default_value = "benches/results")]
    pub results: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_without_a_value_misses_its_bar() {
        let met = |value, bar| Figure::new("f", value, "s").with_bar(bar).met;
        assert_eq!(met(f64::NAN, Bar::AtMost(1.0)), Some(false));
        assert_eq!(met(1.0, Bar::AtMost(1.0)), Some(true));
        assert_eq!(met(0.7, Bar::AtLeast(0.8)), Some(false));
    }

    #[test]
    fn a_busy_machine_makes_a_run_void() {
        assert!(void_reason("round 1", 0.5, 0.02).is_none());
        assert!(void_reason("round 1", 0.05, 0.0).is_some());
        assert!(void_reason("round 1", 0.9, 0.2).is_some());
    }
}
