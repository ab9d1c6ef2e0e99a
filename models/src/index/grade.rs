//! Grades of the index (指数分级): four colours with hysteresis, escalation and a guard for small numbers.
//!
//! These are not the statutory warnings of 突发事件应对法 (2024) art. 63, which has its own standards.

use serde::{Deserialize, Serialize};

/// Grades, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    Normal,
    Blue,
    Yellow,
    Orange,
    Red,
}

/// The bands and what moves a grade. The defaults fit `t_min = -0.5`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GradeRules {
    /// Lower ends of normal, blue, yellow and orange; below the last is red.
    pub bands: [f64; 4],
    /// Points beyond the band's end before a grade is left.
    pub hysteresis: f64,
    /// A fall of more points than this against the month before raises the grade by one.
    pub fall: f64,
    /// Standard deviations above the mean of twelve months, in the bad direction, that raise the grade.
    pub z: f64,
    /// Least weight of an indicator that may raise the grade.
    pub z_weight: f64,
    pub min_population: u64,
    pub min_count: u64,
}

impl Default for GradeRules {
    fn default() -> Self {
        Self {
            bands: [90.0, 80.0, 70.0, 60.0],
            hysteresis: 1.0,
            fall: 5.0,
            z: 2.0,
            z_weight: 0.1,
            min_population: 5_000,
            min_count: 5,
        }
    }
}

/// An indicator of the situation against its own twelve months before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    pub indicator: String,
    pub weight: f64,
    pub x: f64,
    pub past: Vec<f64>,
    /// 1 where more is worse, -1 where less is worse.
    pub sign: f64,
}

impl History {
    /// Standard deviations (n-1) in the bad direction; `None` with fewer than twelve months or none spread.
    pub fn z(&self) -> Option<f64> {
        if self.past.len() < 12 {
            return None;
        }
        let last = &self.past[self.past.len() - 12..];
        let mean = last.iter().sum::<f64>() / 12.0;
        let sd = (last.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 11.0).sqrt();
        (sd > 0.0).then(|| (self.x - mean) / sd * self.sign)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GradeInput {
    pub value: f64,
    pub previous_value: Option<f64>,
    /// The band the month before, without its escalation.
    pub previous_band: Option<Grade>,
    pub history: Vec<History>,
    pub population: Option<u64>,
    pub count: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Graded {
    /// `None`: shown, but not coloured.
    pub grade: Option<Grade>,
    /// The grade before escalation: what hysteresis looks at next month.
    pub band: Grade,
    pub reasons: Vec<String>,
}

impl GradeRules {
    fn band(&self, value: f64) -> Grade {
        const GRADES: [Grade; 4] = [Grade::Normal, Grade::Blue, Grade::Yellow, Grade::Orange];
        self.bands.iter().position(|low| value >= *low).map_or(Grade::Red, |i| GRADES[i])
    }
}

impl Grade {
    pub fn zh(self) -> &'static str {
        match self {
            Self::Normal => "正常",
            Self::Blue => "蓝",
            Self::Yellow => "黄",
            Self::Orange => "橙",
            Self::Red => "红",
        }
    }

    fn worse(self) -> Self {
        match self {
            Self::Normal => Self::Blue,
            Self::Blue => Self::Yellow,
            Self::Yellow => Self::Orange,
            Self::Orange | Self::Red => Self::Red,
        }
    }
}

/// The grade of a unit, with the reasons for it.
pub fn grade(input: &GradeInput, rules: &GradeRules) -> Graded {
    let plain = rules.band(input.value);
    let mut reasons = vec![format!("指数 {:.1},{}", input.value, plain.zh())];
    let mut band = plain;
    if let Some(previous) = input.previous_band
        && previous != plain
    {
        // A level is left only once the value is beyond its end by the hysteresis.
        let toward = if plain > previous { rules.hysteresis } else { -rules.hysteresis };
        let firmly = rules.band(input.value + toward);
        let left = if plain > previous { firmly > previous } else { firmly < previous };
        if !left {
            band = previous;
            reasons.push(format!("距级界不足 {} 分,保持{}级", rules.hysteresis, previous.zh()));
        }
    }
    let mut grade = band;
    let fell = input.previous_value.map(|p| p - input.value).filter(|fall| *fall > rules.fall);
    let unusual = input
        .history
        .iter()
        .filter(|h| h.weight >= rules.z_weight)
        .filter_map(|h| Some((h, h.z()?)))
        .filter(|(_, z)| *z >= rules.z)
        .max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some(fall) = fell {
        reasons.push(format!("比上月下降 {fall:.1} 分,升一级"));
    } else if let Some((history, z)) = unusual {
        reasons.push(format!("{} 偏离前十二个月 {z:.1} 个标准差,升一级", history.indicator));
    }
    if fell.is_some() || unusual.is_some() {
        grade = grade.worse();
    }
    let few =
        input.population.is_some_and(|n| n < rules.min_population) || input.count.is_some_and(|n| n < rules.min_count);
    if few {
        reasons.push(format!("人口不足 {} 或事件不足 {} 件,只显示不着色", rules.min_population, rules.min_count));
    }
    Graded { grade: (!few).then_some(grade), band, reasons }
}
