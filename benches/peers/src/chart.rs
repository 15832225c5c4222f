//! Charts of bars: a panel for each column of a table, a bar for each library.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::libraries::Standing;
use crate::table::short;

/// Bars that are compared.
pub struct Panel {
    pub title: String,
    pub bars: Vec<Bar>,
}

/// One of them.
pub struct Bar {
    pub label: String,
    pub value: f64,
    pub min: f64,
    pub max: f64,
    pub standing: Standing,
}

/// Draws panels, two beside each other, into an SVG file.
///
/// # Errors
///
/// Where it cannot be written.
pub fn draw(file: &Path, title: &str, panels: &[Panel]) -> Result<(), Box<dyn Error>> {
    let heights: Vec<i32> = panels.chunks(ACROSS).map(|row| row.iter().map(height).max().unwrap_or(0)).collect();
    let whole = (WIDTH * ACROSS.min(panels.len()) as i32, TITLE + heights.iter().sum::<i32>());
    let root = SVGBackend::new(file, (whole.0.cast_unsigned(), whole.1.cast_unsigned())).into_drawing_area();
    root.fill(&WHITE).map_err(text_of)?;
    root.draw(&Text::new(title.to_owned(), (MARGIN, 8), font(16))).map_err(text_of)?;
    let mut top = TITLE;
    for (row, height) in panels.chunks(ACROSS).zip(heights) {
        for (column, panel) in row.iter().enumerate() {
            draw_panel(&root, panel, (WIDTH * column as i32 + MARGIN, top))?;
        }
        top += height;
    }
    root.present().map_err(text_of)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw_panel(root: &Area<'_>, panel: &Panel, (left, top): (i32, i32)) -> Result<(), Box<dyn Error>> {
    root.draw(&Text::new(panel.title.clone(), (left, top), font(13))).map_err(text_of)?;
    let libraries = panel.bars.iter().filter(|bar| bar.standing != Standing::Part);
    let best = libraries.map(|bar| bar.value).fold(f64::INFINITY, f64::min);
    let most = panel.bars.iter().map(|bar| bar.value).fold(0.0, f64::max).min(best * CUT);
    for (index, bar) in panel.bars.iter().enumerate() {
        let y = top + HEAD + LINE * index as i32;
        let at = |value: f64| left + LABEL + (f64::from(LENGTH) * (value / most).min(1.0)) as i32;
        let color = match bar.standing {
            Standing::Ours => OURS,
            Standing::Theirs => THEIRS,
            Standing::Part => PART,
        };
        let right_aligned = font(12).pos(Pos::new(HPos::Right, VPos::Top));
        root.draw(&Text::new(bar.label.clone(), (left + LABEL - 6, y), right_aligned)).map_err(text_of)?;
        let ends = [(left + LABEL, y + 1), (at(bar.value), y + LINE - 3)];
        root.draw(&Rectangle::new(ends, color.filled())).map_err(text_of)?;
        if bar.min < bar.max && bar.max <= most {
            let middle = y + LINE / 2 - 1;
            let spread = [(at(bar.min), middle), (at(bar.max), middle)];
            root.draw(&PathElement::new(spread, BLACK.stroke_width(1))).map_err(text_of)?;
        }
        let cut = if bar.value > most { " …" } else { "" };
        let fastest = if bar.value == best && bar.standing != Standing::Part { " fastest" } else { "" };
        let value = format!("{}{cut}{fastest}", short(bar.value));
        root.draw(&Text::new(value, (at(bar.value.max(bar.max)) + 6, y), font(12))).map_err(text_of)?;
    }
    Ok(())
}

fn height(panel: &Panel) -> i32 {
    HEAD + LINE * panel.bars.len() as i32 + MARGIN
}

fn font(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&BLACK)
}

/// The drawing's errors borrow from it.
fn text_of(error: impl std::fmt::Display) -> Box<dyn Error> {
    error.to_string().into()
}

const OURS: RGBColor = RGBColor(0, 98, 155);
const THEIRS: RGBColor = RGBColor(168, 178, 189);
const PART: RGBColor = RGBColor(222, 203, 150);

/// Panels beside each other.
const ACROSS: usize = 2;
/// A bar is cut off at so many times the fastest.
const CUT: f64 = 8.0;

const WIDTH: i32 = 560;
const TITLE: i32 = 34;
const MARGIN: i32 = 16;
const HEAD: i32 = 20;
const LINE: i32 = 17;
const LABEL: i32 = 150;
const LENGTH: i32 = 270;
