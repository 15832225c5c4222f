//! A chart of lines, with both axes logarithmic.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::libraries::Standing;
use crate::table::short;

/// How something grows.
pub struct Line {
    pub label: String,
    pub standing: Standing,
    pub points: Vec<(f64, f64)>,
}

/// Draws lines into an SVG file.
///
/// # Errors
///
/// Where it cannot be written.
pub fn draw(file: &Path, title: &str, lines: &[Line]) -> Result<(), Box<dyn Error>> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let most_x = points().map(|(x, _)| *x).fold(10.0, f64::max);
    let (least, most) = points().fold((f64::INFINITY, 0.0_f64), |(least, most), (_, y)| (least.min(*y), most.max(*y)));
    if most == 0.0 {
        return Err("there is nothing to draw".into());
    }
    // Whole powers of two, the lowest below and the highest above everything.
    let (low, high) = (least.log2().floor(), most.log2().ceil());
    let at = |x: f64, y: f64| {
        let (across, up) = (x.log10() / most_x.log10(), (y.log2() - low) / (high - low).max(1.0));
        (LEFT + (f64::from(WIDTH) * across) as i32, TOP + HEIGHT - (f64::from(HEIGHT) * up) as i32)
    };
    let whole = (LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM);
    let root = SVGBackend::new(file, (whole.0.cast_unsigned(), whole.1.cast_unsigned())).into_drawing_area();
    root.fill(&WHITE).map_err(text_of)?;
    root.draw(&Text::new(title.to_owned(), (16, 8), font(16))).map_err(text_of)?;
    for power in low as i32..=high as i32 {
        let (value, grid) = (f64::from(power).exp2(), RGBColor(225, 225, 225).stroke_width(1));
        root.draw(&PathElement::new([at(1.0, value), at(most_x, value)], grid)).map_err(text_of)?;
        let (x, y) = at(1.0, value);
        let style = font(12).pos(Pos::new(HPos::Right, VPos::Center));
        root.draw(&Text::new(format!("{value}"), (x - 8, y), style)).map_err(text_of)?;
    }
    for power in 0..=most_x.log10().round() as i32 {
        let value = 10_f64.powi(power);
        let (x, y) = at(value, low.exp2());
        let style = font(12).pos(Pos::new(HPos::Center, VPos::Top));
        root.draw(&Text::new(format!("{value}"), (x, y + 8), style)).map_err(text_of)?;
    }
    let mut ends: Vec<(i32, &Line)> = Vec::new();
    for line in lines {
        let color = color(line, lines);
        let path: Vec<(i32, i32)> = line.points.iter().map(|(x, y)| at(*x, *y)).collect();
        ends.extend(path.last().map(|(_, y)| (*y, line)));
        for point in &path {
            root.draw(&Circle::new(*point, 3, color.filled())).map_err(text_of)?;
        }
        root.draw(&PathElement::new(path, color.stroke_width(2))).map_err(text_of)?;
    }
    // Names beside the ends of the lines, moved apart where these are close.
    ends.sort_by_key(|(y, _)| *y);
    let mut free = 0;
    for (y, line) in ends {
        let y = y.max(free);
        free = y + 14;
        let style = ("sans-serif", 12).into_font().color(&color(line, lines)).pos(Pos::new(HPos::Left, VPos::Center));
        let last = line.points.last().map(|(_, value)| short(*value)).unwrap_or_default();
        root.draw(&Text::new(format!("{} {last}", line.label), (LEFT + WIDTH + 10, y), style)).map_err(text_of)?;
    }
    root.present().map_err(text_of)
}

fn color(line: &Line, lines: &[Line]) -> RGBColor {
    let same: Vec<&str> =
        lines.iter().filter(|other| other.standing == line.standing).map(|other| other.label.as_str()).collect();
    let index = same.iter().position(|label| *label == line.label).unwrap_or(0);
    match line.standing {
        Standing::Ours => OURS[index % OURS.len()],
        Standing::Theirs => THEIRS[index % THEIRS.len()],
        Standing::Part => PART,
    }
}

fn font(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&BLACK)
}

/// The drawing's errors borrow from it.
fn text_of(error: impl std::fmt::Display) -> Box<dyn Error> {
    error.to_string().into()
}

const OURS: [RGBColor; 2] = [RGBColor(0, 98, 155), RGBColor(70, 160, 215)];
const THEIRS: [RGBColor; 5] = [
    RGBColor(120, 120, 120),
    RGBColor(190, 110, 60),
    RGBColor(110, 150, 80),
    RGBColor(150, 100, 160),
    RGBColor(190, 170, 60),
];
const PART: RGBColor = RGBColor(205, 185, 130);

const LEFT: i32 = 70;
const RIGHT: i32 = 190;
const TOP: i32 = 44;
const BOTTOM: i32 = 34;
const WIDTH: i32 = 560;
const HEIGHT: i32 = 340;
