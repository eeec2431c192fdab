//! Figures as plots: one SVG for each suite, metric and axis, both axes logarithmic.

use super::report::{Axis, Row};
use crate::text;
use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

impl Axis {
    fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Conns => "connections",
        }
    }

    fn label(self, x: f64) -> String {
        match self {
            Self::Size => text::size(x as usize),
            Self::Conns => text::count(x as u64),
        }
    }
}

/// Points of a line, from left to right.
type Lines = BTreeMap<String, Vec<(f64, f64)>>;

/// Draws all that can be drawn into `folder`; how many plots.
///
/// # Errors
/// What the file system says.
pub(crate) fn draw(rows: &[Row], folder: &Path) -> Result<usize> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut plots: BTreeMap<(String, String, Axis), Lines> = BTreeMap::new();
    for row in rows {
        for at in &row.at {
            let metric = format!("{}, {}", row.metric, row.unit);
            let title = match at.chart {
                "" => format!("{}: {metric}", row.suite),
                chart => format!("{} on {chart}: {metric}", row.suite),
            };
            let chart = match at.chart {
                "" => String::new(),
                chart => format!("-{chart}"),
            };
            let axis = at.axis.name();
            let name = format!("{}-{}-by-{axis}{chart}.svg", row.suite, row.metric);
            let key = (name.to_lowercase().replace(' ', "-"), title, at.axis);
            let lines = plots.entry(key).or_default();
            let mut add = |who: &str, value: f64| {
                let line = lines.entry(format!("{who}, {}", at.line)).or_default();
                line.push((at.x, value));
            };
            add("ours", row.ours.median);
            if let (Some(rival), Some(name)) = (row.rival.filter(|_| row.is_rival), row.rival_name)
            {
                add(name, rival.median);
            }
        }
    }
    let cnt = plots.len();
    for ((name, title, axis), lines) in plots {
        let file = folder.join(name);
        draw_one(&title, axis, lines, &file).with_context(|| file.display().to_string())?;
    }
    Ok(cnt)
}

fn draw_one(title: &str, axis: Axis, lines: Lines, file: &Path) -> Result<()> {
    let (xs, ys) = (
        range(&lines, |point| point.0),
        range(&lines, |point| point.1),
    );
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(said)?;
    let (left, right) = area.split_horizontally(SIZE.0 - LEGEND_WIDTH);
    let base = match axis {
        Axis::Size => 4.0,
        Axis::Conns => 10.0,
    };
    let mut chart = ChartBuilder::on(&left)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(72)
        .build_cartesian_2d(xs.log_scale().base(base), ys.log_scale())
        .map_err(said)?;
    chart
        .configure_mesh()
        .x_desc(axis.name())
        .x_label_formatter(&|x| axis.label(*x))
        .y_label_formatter(&|y| short(*y))
        .light_line_style(TRANSPARENT)
        .draw()
        .map_err(said)?;
    for (idx, (name, mut points)) in lines.into_iter().enumerate() {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let style = Palette99::pick(idx).to_rgba().stroke_width(2);
        let series = LineSeries::new(points, style).point_size(3);
        chart.draw_series(series).map_err(said)?;
        let y = LEGEND_TOP + LEGEND_STEP * idx as i32;
        right
            .draw(&PathElement::new([(0, y + 6), (18, y + 6)], style))
            .map_err(said)?;
        right
            .draw(&Text::new(name, (24, y), ("sans-serif", 13)))
            .map_err(said)?;
    }
    area.present().map_err(said)
}

fn said(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("{error}")
}

/// From a little below the least to a little above the most.
fn range(lines: &Lines, of: impl Fn(&(f64, f64)) -> f64) -> std::ops::Range<f64> {
    let values = || lines.values().flatten().map(&of);
    let least = values().fold(f64::INFINITY, f64::min).max(LEAST);
    let most = values().fold(least, f64::max);
    least / MARGIN..most * MARGIN
}

/// `12`, `3.4k`, `5.6M`.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e3 => format!("{}k", value / 1e3),
        value => format!("{value}"),
    }
}

/// All in pixels.
const SIZE: (u32, u32) = (900, 480);
const LEGEND_WIDTH: u32 = 190;
const LEGEND_TOP: i32 = 60;
const LEGEND_STEP: i32 = 22;
/// A logarithm has no place for nothing.
const LEAST: f64 = 1e-3;
const MARGIN: f64 = 1.3;

#[cfg(test)]
mod tests;
