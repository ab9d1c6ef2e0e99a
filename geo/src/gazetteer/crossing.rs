//! Where two roads meet, and places told by a distance from there.

use std::fmt::Write as _;

use super::geocode::{Admin, Candidate, RoadHit};
use super::names::Edit;
use super::{Entry, Gazetteer, MatchLevel, RoadPart};
use crate::address::{Address, Offset, crossing_word};
use crate::shape::M_PER_DEGREE;
use crate::units::LonLat;

/// Roads whose addresses come no nearer than this are not said to cross, in metres: the first
/// house may stand some way from the corner.
const REACH_M: f64 = 300.0;

/// The crossing of two roads.
#[derive(Debug, Clone, Copy)]
struct Crossing {
    at: LonLat,
    /// Distance of the two roads' nearest addresses in metres; 0 for a surveyed crossing.
    gap_m: f64,
}

impl Gazetteer {
    /// Places for the text's two roads; the roads themselves if they do not meet.
    pub(super) fn crossings(&self, a: &Address, admin: &Admin, found: &mut Vec<Candidate>) {
        let hits = |name: &str| match self.roads.get(name) {
            Some(road) => vec![RoadHit { road, edit: Edit::None, quality: 1.0 }],
            None => {
                let mut hits = self.roads_within(name);
                hits.sort_by(|x, y| y.quality.total_cmp(&x.quality).then(x.road.cmp(&y.road)));
                hits.dedup_by_key(|h| h.road);
                hits.truncate(6);
                hits
            }
        };
        let (Some(first), Some(second)) = (&a.road, a.crossings.first()) else { return };
        let (firsts, seconds) = (hits(first), hits(second));
        for x in &firsts {
            for y in seconds.iter().filter(|y| y.road != x.road) {
                let parts = &self.parts[x.road as usize];
                for part in parts {
                    if admin.district.is_some_and(|(id, _)| id != part.district)
                        && parts.iter().any(|p| Some(p.district) == admin.district.map(|d| d.0))
                    {
                        continue;
                    }
                    self.crossing_candidate(a, admin, *x, *y, part, parts, found);
                }
            }
        }
        // The roads of the text that are known, if they do not meet.
        if found.is_empty() {
            for hit in firsts.iter().chain(&seconds) {
                let parts = &self.parts[hit.road as usize];
                for part in parts {
                    let (score, mut notes) = self.rate_part(admin, *hit, part, parts);
                    let other = if firsts.iter().any(|h| h.road == hit.road) { second } else { first };
                    let _ = write!(notes, "；未能定出与「{other}」的路口");
                    self.road_itself(a, hit.road, part, score * 0.8, notes, found);
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call, the candidate's context")]
    fn crossing_candidate(
        &self,
        a: &Address,
        admin: &Admin,
        x: RoadHit,
        y: RoadHit,
        part: &RoadPart,
        parts: &[RoadPart],
        found: &mut Vec<Candidate>,
    ) {
        let (score, mut notes) = self.rate_part(admin, x, part, parts);
        if y.edit != Edit::None {
            let _ = write!(notes, "；相交道路按「{}」更正", self.roads.name(y.road));
        }
        let other = self.roads.name(y.road);
        let names = format!("{}/{other}{}", self.head(part.district, Some(x.road)), crossing_word(other));
        let Ok(c) = self.crossing(x.road, y.road, Some(part.district)) else { return };
        let mut factor = 0.97 * (1.0 - c.gap_m / 3_000.0);
        notes.push_str(if c.gap_m == 0.0 { "；路口为实测点" } else { "；路口由两路门牌推算" });
        let (mut place, mut address) = (c.at, names);
        if let Some(offset) = a.offset {
            let (moved, along) = self.displaced(place, offset, Some(x.road));
            place = moved;
            if offset.metres.is_some() {
                factor *= if along { 0.95 } else { 0.88 };
                let _ = write!(notes, "；{offset}{}", if along { "（沿路）" } else { "（按方位）" });
            }
            let _ = write!(address, "{offset}");
        }
        found.push(Candidate {
            score: score * (0.5 + 0.5 * y.quality) * factor,
            level: MatchLevel::Crossing,
            place,
            entry: None,
            road: Some(x.road),
            district: Some(part.district),
            street: None,
            address,
            notes,
        });
    }

    /// Where two roads cross, within a district if one is given. `Err` has the nearest approach of
    /// roads that do not, a point of the first.
    fn crossing(&self, a: u32, b: u32, district: Option<u16>) -> Result<Crossing, Option<Crossing>> {
        let within = |e: &&Entry| district.is_none_or(|d| e.district == d);
        let entries_a: Vec<Entry> = self.entries_of(a).iter().filter(within).copied().collect();
        if let Some(surveyed) = self.crossings.get(&(a.min(b), a.max(b))) {
            let near = |p: &(i32, i32)| entries_a.first().map_or(0, |e| p.0.abs_diff(e.lon).max(p.1.abs_diff(e.lat)));
            if let Some((lon, lat)) = surveyed.iter().min_by_key(|p| near(p)) {
                let at = LonLat { lon: f64::from(*lon) / 1e7, lat: f64::from(*lat) / 1e7 };
                return Ok(Crossing { at, gap_m: 0.0 });
            }
        }
        let (p, q) = self.nearest_pair(&entries_a, self.entries_of(b)).ok_or(None)?;
        let (pa, qb) = (p.position(), q.position());
        let gap_m = pa.distance_m(qb);
        if gap_m > REACH_M {
            return Err(Some(Crossing { at: pa, gap_m }));
        }
        let middle = LonLat { lon: (pa.lon + qb.lon) / 2.0, lat: (pa.lat + qb.lat) / 2.0 };
        Ok(Crossing { at: self.lines_meet(a, b, middle).unwrap_or(middle), gap_m })
    }

    /// The two nearest entries: the longer list sorted by longitude, each of the shorter looks
    /// around itself.
    fn nearest_pair(&self, a: &[Entry], b: &[Entry]) -> Option<(Entry, Entry)> {
        let (few, many, swapped) = if a.len() <= b.len() { (a, b, false) } else { (b, a, true) };
        let mut sorted: Vec<Entry> = many.to_vec();
        sorted.sort_unstable_by_key(|e| e.lon);
        let mut best: Option<(f64, Entry, Entry)> = None;
        for e in few {
            let start = sorted.partition_point(|o| o.lon < e.lon);
            let (left, right) = sorted.split_at(start);
            for side in [&mut left.iter().rev() as &mut dyn Iterator<Item = &Entry>, &mut right.iter()] {
                for o in side {
                    let dx = f64::from(o.lon - e.lon) * self.shrink;
                    let d2 = dx * dx + f64::from(o.lat - e.lat).powi(2);
                    if best.is_some_and(|(limit, ..)| dx * dx > limit) {
                        break;
                    }
                    if best.is_none_or(|(limit, ..)| d2 < limit) {
                        best = Some((d2, *e, *o));
                    }
                }
            }
        }
        best.map(|(_, e, o)| if swapped { (o, e) } else { (e, o) })
    }

    /// The roads' middle lines near a point, through the houses of both sides, and where they meet.
    fn lines_meet(&self, a: u32, b: u32, near: LonLat) -> Option<LonLat> {
        let (pa, da) = self.line_near(a, near)?;
        let (pb, db) = self.line_near(b, near)?;
        let cross = da[0] * db[1] - da[1] * db[0];
        // Below 20 degrees the meeting point of two fitted lines is anywhere.
        if cross.abs() < 20f64.to_radians().sin() {
            return None;
        }
        let t = ((pb[0] - pa[0]) * db[1] - (pb[1] - pa[1]) * db[0]) / cross;
        let (x, y) = (pa[0] + t * da[0], pa[1] + t * da[1]);
        (x.hypot(y) <= REACH_M)
            .then(|| LonLat { lon: near.lon + x / (M_PER_DEGREE * self.shrink), lat: near.lat + y / M_PER_DEGREE })
    }

    /// A point and a unit direction in metres around `near`: the main axis of the houses around.
    fn line_near(&self, road: u32, near: LonLat) -> Option<([f64; 2], [f64; 2])> {
        const AROUND_M: f64 = 500.0;
        let points: Vec<[f64; 2]> = self
            .entries_of(road)
            .iter()
            // Houses in lanes stand off the road.
            .filter(|e| e.lane == 0 || e.first == 0)
            .map(|e| {
                let p = e.position();
                [(p.lon - near.lon) * M_PER_DEGREE * self.shrink, (p.lat - near.lat) * M_PER_DEGREE]
            })
            .filter(|p| p[0].hypot(p[1]) <= AROUND_M)
            .collect();
        if points.len() < 3 {
            return None;
        }
        let n = points.len() as f64;
        let mean = points.iter().fold([0.0, 0.0], |m, p| [m[0] + p[0] / n, m[1] + p[1] / n]);
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for p in &points {
            let (x, y) = (p[0] - mean[0], p[1] - mean[1]);
            (xx, xy, yy) = (xx + x * x, xy + x * y, yy + y * y);
        }
        let angle = 0.5 * (2.0 * xy).atan2(xx - yy);
        // As wide as long: no direction.
        let spread = ((xx - yy).powi(2) + 4.0 * xy * xy).sqrt();
        (spread > 0.5 * (xx + yy)).then_some((mean, [angle.cos(), angle.sin()]))
    }

    /// The place at a distance from another. With a road: on it, if it has houses about there; the
    /// flag says so.
    pub(super) fn displaced(&self, from: LonLat, offset: Offset, road: Option<u32>) -> (LonLat, bool) {
        let metres = offset.metres.unwrap_or(0.0);
        let bearing = offset.direction.bearing().to_radians();
        let wanted = [metres * bearing.sin(), metres * bearing.cos()];
        let tolerance = (metres * 0.1).max(30.0);
        let on_road = road.filter(|_| metres > 0.0).and_then(|road| {
            self.entries_of(road)
                .iter()
                .filter(|e| e.lane == 0)
                .filter_map(|e| {
                    let p = e.position();
                    let x = (p.lon - from.lon) * M_PER_DEGREE * self.shrink;
                    let y = (p.lat - from.lat) * M_PER_DEGREE;
                    let distance = x.hypot(y);
                    // Within 45 degrees of the direction told.
                    let ahead = x * bearing.sin() + y * bearing.cos() >= distance * std::f64::consts::FRAC_1_SQRT_2;
                    let off = (distance - metres).abs();
                    (ahead && off <= tolerance).then_some((off, p))
                })
                .min_by(|a, b| a.0.total_cmp(&b.0))
                .map(|(_, p)| p)
        });
        let straight = LonLat {
            lon: from.lon + wanted[0] / (M_PER_DEGREE * self.shrink),
            lat: (from.lat + wanted[1] / M_PER_DEGREE).clamp(-90.0, 90.0),
        };
        (on_road.unwrap_or(straight), on_road.is_some())
    }
}
