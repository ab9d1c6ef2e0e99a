//! The one place of colours. Pages get them as CSS variables, chart options as `$names` that the
//! page resolves, images as RGB. Few colours, told apart by lightness as well as hue; good and
//! bad are blue-green and orange, which colour-blind readers can tell apart, and never without a sign.

use serde::{Serialize, Serializer};
use std::fmt::Write;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    Dark,
    Light,
}

/// A colour by its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Color {
    /// The n-th series, from 0.
    Series(usize),
    /// The period compared with.
    Reference,
    Text,
    Muted,
    Line,
    Panel,
    Accent,
    Good,
    Bad,
    /// A step of the sequential ramp, 0 low to 5 high.
    Ramp(usize),
    /// Text on a step of the ramp.
    OnRamp(usize),
    NoData,
    /// A grade of danger: red, orange, yellow, blue, green.
    Level(&'static str),
    /// `#rrggbb` from a code list.
    Fixed(String),
}

pub const RAMP_STEPS: usize = 6;

/// `(name, dark, light)`. Contrast with the panel: text and muted 4.5 or more, marks 3 or more.
const TOKENS: &[(&str, &str, &str)] = &[
    ("bg", "#070d18", "#f4f6f9"),
    ("panel", "#0e1727", "#ffffff"),
    ("raised", "#16223a", "#eef2f7"),
    ("line", "#22314c", "#d5dde8"),
    ("text", "#eaf1fb", "#16202e"),
    ("muted", "#93a7c4", "#54657d"),
    ("accent", "#4fb8ff", "#0b62c4"),
    ("on-accent", "#04111f", "#ffffff"),
    ("good", "#35d0ac", "#00735c"),
    ("bad", "#ff9a57", "#b34700"),
    ("warn", "#ffd24a", "#8a6100"),
    ("reference", "#7588a5", "#7b8aa0"),
    ("no-data", "#1b2740", "#e3e8ef"),
    ("series-0", "#4fb8ff", "#0b72d9"),
    ("series-1", "#ffb454", "#c77700"),
    ("series-2", "#35d0ac", "#00876c"),
    ("series-3", "#c39bff", "#7a4fd0"),
    ("series-4", "#f58fb8", "#c2457c"),
    ("series-5", "#b8d36a", "#6a8a12"),
    ("series-6", "#9fb3d1", "#5f7391"),
    ("level-red", "#ff6b6b", "#c62828"),
    ("level-orange", "#ff9a57", "#b85400"),
    ("level-yellow", "#ffd24a", "#8f6b00"),
    ("level-blue", "#4fb8ff", "#0b72d9"),
    ("level-green", "#35d0ac", "#00876c"),
    ("ramp-0", "#12304f", "#dcebfa"),
    ("ramp-1", "#174a78", "#b5d5f4"),
    ("ramp-2", "#1d6aa5", "#82b8ea"),
    ("ramp-3", "#2e8fd0", "#4a95da"),
    ("ramp-4", "#6cbcf0", "#1f6fbd"),
    ("ramp-5", "#c6e8ff", "#0c4a8a"),
    ("on-ramp-0", "#eaf1fb", "#16202e"),
    ("on-ramp-1", "#eaf1fb", "#16202e"),
    ("on-ramp-2", "#eaf1fb", "#16202e"),
    ("on-ramp-3", "#070d18", "#16202e"),
    ("on-ramp-4", "#070d18", "#ffffff"),
    ("on-ramp-5", "#070d18", "#ffffff"),
];

impl Color {
    pub fn series(n: usize) -> Self {
        Self::Series(n)
    }

    /// The colour that a name itself stands for: grades of warnings and risks, good and bad
    /// tendencies. A red level in green would mislead.
    pub fn of_level(name: &str) -> Option<Self> {
        Some(match name.trim_end_matches("预警").trim_end_matches("等级") {
            "红" | "红色" | "高风险" | "red" => Self::Level("red"),
            "橙" | "橙色" | "orange" => Self::Level("orange"),
            "黄" | "黄色" | "中风险" | "yellow" => Self::Level("yellow"),
            "蓝" | "蓝色" | "低风险" | "blue" => Self::Level("blue"),
            "绿" | "绿色" | "正常" | "green" | "normal" => Self::Level("green"),
            "负面" | "负面文本" | "negative" => Self::Bad,
            "正面" | "正面文本" | "positive" => Self::Good,
            "未知" | "不确定" | "中性" | "unknown" | "neutral" | "uncertain" => Self::Reference,
            _ => return None,
        })
    }

    /// The name in CSS (`--name`) and in chart options (`$name`).
    pub fn token(&self) -> String {
        match self {
            Self::Series(n) => format!("series-{}", n % 7),
            Self::Reference => "reference".into(),
            Self::Text => "text".into(),
            Self::Muted => "muted".into(),
            Self::Line => "line".into(),
            Self::Panel => "panel".into(),
            Self::Accent => "accent".into(),
            Self::Good => "good".into(),
            Self::Bad => "bad".into(),
            Self::Ramp(step) => format!("ramp-{}", (*step).min(RAMP_STEPS - 1)),
            Self::OnRamp(step) => format!("on-ramp-{}", (*step).min(RAMP_STEPS - 1)),
            Self::NoData => "no-data".into(),
            Self::Level(name) => format!("level-{name}"),
            Self::Fixed(hex) => hex.clone(),
        }
    }

    /// The value in chart options: `$token`, or a fixed colour as it is.
    pub fn option(&self) -> String {
        match self {
            Self::Fixed(hex) => hex.clone(),
            other => format!("${}", other.token()),
        }
    }

    pub fn rgb(&self, theme: Theme) -> (u8, u8, u8) {
        match self {
            Self::Fixed(hex) => rgb_of(hex),
            other => token_rgb(&other.token(), theme),
        }
    }
}

impl Serialize for Color {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.option())
    }
}

/// Class limits for a sequential ramp: round numbers, at most [`RAMP_STEPS`] classes, ascending.
pub fn breaks(low: f64, high: f64) -> Vec<f64> {
    let span = if high > low { high - low } else { high.abs().max(1.0) };
    let raw = span / (RAMP_STEPS - 1) as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= raw * 0.999).unwrap_or(raw);
    let first = (low / step).floor();
    let last = ((high / step).floor() + 1.0).max(first + 1.0);
    // An exact upper limit needs no class of its own.
    let last = if last - 1.0 > first && high <= (last - 1.0) * step { last - 1.0 } else { last };
    let count = ((last - first) as usize).min(RAMP_STEPS);
    (0..=count).map(|i| (first + i as f64) * step).collect()
}

/// Decimals needed to write the limits.
pub fn break_digits(breaks: &[f64]) -> usize {
    (0..4)
        .find(|d| breaks.iter().all(|b| ((b * 10f64.powi(*d)).round() - b * 10f64.powi(*d)).abs() < 1e-6))
        .unwrap_or(4) as usize
}

/// The class of a value among limits.
pub fn class_of(value: f64, breaks: &[f64]) -> usize {
    let count = breaks.len().saturating_sub(1).max(1);
    breaks.iter().skip(1).take(count - 1).filter(|limit| value >= **limit).count()
}

/// The ramp's step for class `class` of `count`: the ends of the ramp are always used.
pub fn class_step(class: usize, count: usize) -> usize {
    if count <= 1 { RAMP_STEPS / 2 } else { (class * (RAMP_STEPS - 1) + (count - 1) / 2) / (count - 1) }
}

/// A token's colour; unknown names are mid grey.
pub fn token_rgb(name: &str, theme: Theme) -> (u8, u8, u8) {
    TOKENS.iter().find(|(token, _, _)| *token == name).map_or((128, 128, 128), |(_, dark, light)| {
        rgb_of(match theme {
            Theme::Dark => dark,
            Theme::Light => light,
        })
    })
}

fn rgb_of(hex: &str) -> (u8, u8, u8) {
    let part = |i: usize| hex.get(i..i + 2).and_then(|h| u8::from_str_radix(h, 16).ok()).unwrap_or(128);
    (part(1), part(3), part(5))
}

/// The style sheet of the themes: light by default, dark by choice, and `auto` dark on walls.
pub fn css() -> String {
    let vars = |theme: Theme| {
        TOKENS.iter().fold(String::new(), |mut out, (name, dark, light)| {
            let value = if theme == Theme::Dark { dark } else { light };
            let _ = write!(out, "--{name}:{value};");
            out
        })
    };
    let (dark, light) = (vars(Theme::Dark), vars(Theme::Light));
    format!(
        ":root{{color-scheme:light;{light}}}\n:root[data-theme=dark]{{color-scheme:dark;{dark}}}\n\
         @media {wall}{{:root[data-theme=auto]{{color-scheme:dark;{dark}}}}}\n",
        wall = crate::board_style::WALL_MEDIA,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance((r, g, b): (u8, u8, u8)) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    }

    /// WCAG 2.1 contrast ratio.
    fn contrast(a: (u8, u8, u8), b: (u8, u8, u8)) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn contrast_is_aa_in_both_themes() {
        for theme in [Theme::Dark, Theme::Light] {
            for ground in ["bg", "panel", "raised"] {
                let ground_rgb = token_rgb(ground, theme);
                for text in ["text", "muted", "accent", "good", "bad", "warn"] {
                    let ratio = contrast(token_rgb(text, theme), ground_rgb);
                    assert!(ratio >= 4.5, "{theme:?} {text} on {ground}: {ratio:.2}");
                }
                for n in 0..7 {
                    let ratio = contrast(Color::series(n).rgb(theme), ground_rgb);
                    assert!(ratio >= 3.0, "{theme:?} series {n} on {ground}: {ratio:.2}");
                }
            }
            for step in 0..RAMP_STEPS {
                let ratio = contrast(Color::OnRamp(step).rgb(theme), Color::Ramp(step).rgb(theme));
                assert!(ratio >= 4.5, "{theme:?} text on step {step}: {ratio:.2}");
            }
            assert!(contrast(token_rgb("on-accent", theme), token_rgb("accent", theme)) >= 4.5);
        }
    }

    #[test]
    fn the_ramp_only_grows_in_one_direction() {
        for (theme, up) in [(Theme::Dark, true), (Theme::Light, false)] {
            let steps: Vec<f64> = (0..RAMP_STEPS).map(|i| luminance(Color::Ramp(i).rgb(theme))).collect();
            assert!(steps.windows(2).all(|w| (w[1] > w[0]) == up), "{theme:?} {steps:?}");
        }
    }

    #[test]
    fn classes_are_round_and_cover_the_range() {
        assert_eq!(breaks(12.3, 61.0), [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0]);
        assert_eq!(breaks(0.0, 100.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        for (low, high) in [(0.0, 0.0), (3.0, 3.0), (0.01, 0.93), (1.0, 7.0), (480.0, 25_310.0), (-3.0, 9.0)] {
            let limits = breaks(low, high);
            assert!(limits.len() >= 2 && limits.len() <= RAMP_STEPS + 1, "{limits:?}");
            assert!(limits[0] <= low && limits[limits.len() - 1] >= high, "{low}..{high}: {limits:?}");
        }
        assert_eq!(class_of(10.0, &[10.0, 20.0, 30.0]), 0);
        assert_eq!(class_of(20.0, &[10.0, 20.0, 30.0]), 1);
        assert_eq!(class_of(30.0, &[10.0, 20.0, 30.0]), 1);
        assert_eq!(class_step(0, 3), 0);
        assert_eq!(class_step(2, 3), RAMP_STEPS - 1);
    }
}
