//! A made-up city with consistent addresses: sixteen districts in their real places, streets in a
//! grid, straight roads with odd numbers on one side and even ones on the other, lanes with houses.
//! The same for the same seed.

mod random;

pub use random::Random;
use zonglan_geo::{Gazetteer, GazetteerBuilder, GazetteerRow, RegionSet};

/// Characters that road names are made of.
pub const STEM: &str = "安宝北碧滨长常昌晨成澄川春翠大丹德灯定东渡恩法方芳飞丰枫凤福富甘高歌工公古谷关光广桂国海汉航合和河荷恒横红虹\
洪湖花华淮黄惠吉佳家嘉剑江金锦京晶井景静九巨君开康科昆兰乐利莲良凌龙芦鲁陆鹿罗洛马梅美蒙密妙民明牧南宁农欧盘培彭平浦七齐祁启\
钱强桥青清庆秋曲泉群仁荣瑞三沙山善上申深沈盛胜施石双水顺思松苏台太泰塘桃天田亭通同桐土万汪望威为文梧武溪西霞夏仙祥向小肖新信\
兴星杏秀徐许旭雪学延岩盐雁阳杨耀叶伊怡宜义益银英永友余鱼玉裕园源月岳云枣泽扎张章漳召照浙真镇正之芝志中钟周朱珠竹庄紫邹祖遵";

pub struct House {
    pub district: String,
    pub street: String,
    pub road: String,
    pub lane: u32,
    pub number: u32,
    pub lon: f64,
    pub lat: f64,
}

impl House {
    pub fn address(&self) -> String {
        let lane = if self.lane > 0 { format!("{}弄", self.lane) } else { String::new() };
        format!("上海市{}{}{}{lane}{}号", self.district, self.street, self.road, self.number)
    }
}

pub struct Road {
    pub district: String,
    pub name: String,
    /// Ends in degrees.
    pub line: [[f64; 2]; 2],
}

pub struct City {
    pub houses: Vec<House>,
    pub roads: Vec<Road>,
}

fn stem(rng: &mut Random, chars: &[char]) -> String {
    (0..2).map(|_| chars[rng.below(chars.len())]).collect()
}

pub const METRE: f64 = 1.0 / 111_195.0;
/// Degrees of longitude in a metre at 31.2 degrees north.
pub const METRE_EAST: f64 = METRE / 0.855_36;

/// About `houses` addresses on `roads` roads in each of the sixteen districts.
pub fn city(seed: u64, houses: usize, roads: usize) -> City {
    let rng = &mut Random(seed);
    let chars: Vec<char> = STEM.chars().collect();
    let mut made = City { houses: Vec::with_capacity(houses), roads: Vec::new() };
    let mut used = std::collections::HashSet::new();
    let per_road = houses.div_ceil(roads * 16);
    let districts = RegionSet::shanghai();
    for (d, region) in districts.iter().enumerate() {
        let streets: Vec<String> =
            (0..12).map(|i| stem(rng, &chars) + if (d + i) % 3 == 0 { "镇" } else { "街道" }).collect();
        // Each district around its label, none overlapping much: 6 km wide is room enough.
        let (cx, cy) = region.label;
        let elsewhere = made.roads.len();
        for r in 0..roads {
            // Some names are in two districts, as in life.
            let name = if r > 10 && rng.chance(0.03) && d > 0 {
                made.roads[rng.below(elsewhere)].name.clone()
            } else {
                loop {
                    let suffix = ["路", "路", "路", "路", "东路", "西路", "南路", "北路", "中路", "公路", "大道", "街"]
                        [rng.below(12)];
                    let name = stem(rng, &chars) + suffix;
                    if used.insert(name.clone()) {
                        break name;
                    }
                }
            };
            let east_west = r % 2 == 0;
            let (mut x, mut y) = ((rng.unit() - 0.5) * 6_000.0, (rng.unit() - 0.5) * 6_000.0);
            let length = 1_000.0 + 4_000.0 * rng.unit();
            let slope = (rng.unit() - 0.5) * 0.2;
            let (dx, dy) = if east_west { (1.0, slope) } else { (slope, 1.0) };
            if east_west {
                x -= length / 2.0
            } else {
                y -= length / 2.0
            }
            let at = |t: f64, side: f64| {
                let (px, py) = (x + dx * t - dy * side, y + dy * t + dx * side);
                [cx + px * METRE_EAST, cy + py * METRE, px, py]
            };
            let mut last = 0.0;
            let mut n = 0;
            let mut k = 0;
            while n < per_road && made.houses.len() < houses {
                k += 1;
                let side = if k % 2 == 0 { 20.0 } else { -20.0 };
                let t = length * (k as f64 / per_road as f64).min(1.0);
                last = t;
                let in_lane = if rng.chance(0.1) { 1 + rng.below(12) } else { 0 };
                for h in 0..in_lane.max(1) {
                    let [lon, lat, px, py] = at(t, side * (1.0 + h as f64));
                    let cell =
                        |v: f64, cells: f64| (((v + 3_000.0) / 6_000.0 * cells) as usize).min(cells as usize - 1);
                    made.houses.push(House {
                        district: region.name.clone(),
                        street: streets[cell(px, 4.0) * 3 + cell(py, 3.0)].clone(),
                        road: name.clone(),
                        lane: if in_lane > 0 { k as u32 } else { 0 },
                        number: if in_lane > 0 { h as u32 + 1 } else { k as u32 },
                        lon,
                        lat,
                    });
                    n += 1;
                }
            }
            let line = [at(0.0, 0.0), at(last, 0.0)].map(|p| [p[0], p[1]]);
            made.roads.push(Road { district: region.name.clone(), name, line });
        }
    }
    made
}

pub fn gazetteer<'a>(houses: impl IntoIterator<Item = &'a House>) -> Gazetteer {
    let mut builder = GazetteerBuilder::new("上海市");
    for h in houses {
        let lane = if h.lane > 0 { h.lane.to_string() } else { String::new() };
        let row = GazetteerRow {
            address: &h.address(),
            district: &h.district,
            street: &h.street,
            road: &h.road,
            lane: &lane,
            number: &h.number.to_string(),
            lon: h.lon,
            lat: h.lat,
        };
        builder.add(&row).unwrap();
    }
    builder.build()
}

fn chinese(n: u32) -> String {
    const DIGITS: [char; 10] = ['零', '一', '二', '三', '四', '五', '六', '七', '八', '九'];
    let mut text = String::new();
    let mut gap = false;
    for (unit, name) in [(1000, "千"), (100, "百"), (10, "十"), (1, "")] {
        let d = n / unit % 10;
        if d > 0 {
            if gap && !text.is_empty() {
                text.push('零');
            }
            gap = false;
            if !(d == 1 && unit == 10 && text.is_empty()) {
                text.push(DIGITS[d as usize]);
            }
            text.push_str(name);
        } else {
            gap = true;
        }
    }
    text
}

/// The address as people write it: parts dropped, other spellings, at most one typing error in
/// the names. `None` in nothing: road and number stay, or no one could find the house.
pub fn perturbed(rng: &mut Random, h: &House) -> String {
    let chars: Vec<char> = STEM.chars().collect();
    let short = |name: &str| name.trim_end_matches('区').trim_end_matches('新').to_owned();
    let mut district = match rng.below(10) {
        0..=1 => String::new(),
        2..=3 => short(&h.district),
        _ => h.district.clone(),
    };
    let mut road = h.road.clone();
    let street = if rng.chance(0.5) { h.street.clone() } else { String::new() };
    // A short name of a district is only one before a road that can stand alone.
    let city = ["上海市", "上海", "", ""][rng.below(4)];
    if rng.chance(0.5) {
        let target = if rng.chance(0.2) && district.chars().count() >= 3 { &mut district } else { &mut road };
        let mut c: Vec<char> = target.chars().collect();
        let i = rng.below(c.len());
        match rng.below(4) {
            0 | 1 => c[i] = chars[rng.below(chars.len())],
            2 if c.len() > 3 => {
                c.remove(i);
            }
            _ if i > 0 => c.swap(i - 1, i),
            _ => c.insert(i, chars[rng.below(chars.len())]),
        }
        *target = c.into_iter().collect();
    }
    let in_words = rng.chance(0.15);
    let digits = |n: u32| if in_words { chinese(n) } else { n.to_string() };
    let unit = match rng.below(6) {
        0 => "",
        1 => "號",
        2 => "#",
        _ => "号",
    };
    let unit = if in_words && unit.is_empty() { "号" } else { unit };
    let lane = if h.lane > 0 { format!("{}弄", digits(h.lane)) } else { String::new() };
    let room = if !unit.is_empty() && rng.chance(0.3) { format!("{}室", 101 + rng.below(900)) } else { String::new() };
    let text = format!("{city}{district}{street}{road}{lane}{}{unit}{room}", digits(h.number));
    match rng.below(8) {
        // Full width.
        0 => text
            .chars()
            .map(|c| if c.is_ascii_digit() { char::from_u32(c as u32 + 0xfee0).unwrap() } else { c })
            .collect(),
        1 => text.replace('弄', "弄 "),
        _ => text,
    }
}
