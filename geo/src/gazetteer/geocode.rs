//! From the text of an address to ranked places.
//!
//! The parser gives the parts; roads are then looked for by name in what may hold one, with one
//! typing error forgiven; each road found is rated by how much of the text it explains, by the
//! district and street, and by whether the house exists there. The factors are settings of ours,
//! tried on perturbed addresses (`tests/gazetteer.rs`), not probabilities.

use std::fmt::Write as _;

use super::names::Edit;
use super::{Entry, Gazetteer, Match, MatchLevel, RoadPart};
use crate::address::names::present_name;
use crate::address::{Address, PartKind};
use crate::units::LonLat;

/// Answers at most.
const LIMIT: usize = 10;

/// A road that the text may name.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoadHit {
    pub road: u32,
    pub edit: Edit,
    /// 1 if the text names it exactly and nothing else.
    pub quality: f64,
}

/// What the text says about district and street, as ids.
pub(super) struct Admin {
    pub district: Option<(u16, Edit)>,
    /// Said, but not known here.
    unknown_district: Option<String>,
    street: Option<(u16, Edit)>,
}

pub(super) struct Candidate {
    pub score: f64,
    pub level: MatchLevel,
    pub place: LonLat,
    pub entry: Option<Entry>,
    pub road: Option<u32>,
    pub district: Option<u16>,
    pub street: Option<u16>,
    pub address: String,
    pub notes: String,
}

impl Gazetteer {
    /// Places of an address, the likeliest first; none if not even the district is known. Never
    /// fails on any text.
    pub fn geocode(&self, text: &str) -> Vec<Match> {
        if self.entries.is_empty() {
            return vec![];
        }
        let a = Address::parse(text);
        let admin = self.admin(&a);
        let mut found = Vec::new();
        if a.is_crossing() {
            self.crossings(&a, &admin, &mut found);
        }
        if found.is_empty() {
            for hit in self.roads_of(&a, &admin) {
                self.on_road(&a, &admin, hit, &mut found);
            }
        }
        if found.is_empty() {
            self.areas(&a, &admin, &mut found);
        }
        found.sort_by(|x, y| y.score.total_cmp(&x.score).then(x.level.cmp(&y.level)).then(x.address.cmp(&y.address)));
        found.dedup_by(|x, y| x.address == y.address && x.level == y.level);
        found.truncate(LIMIT);
        let close = found.len() > 1 && found[1].score > found[0].score * 0.97 && found[1].road != found[0].road;
        found.into_iter().enumerate().map(|(i, c)| self.answer(c, if i == 0 && close { 0.8 } else { 1.0 })).collect()
    }

    fn answer(&self, c: Candidate, factor: f64) -> Match {
        let name = |id: Option<u16>, names: &super::Names| {
            id.map_or_else(String::new, |id| names.name(u32::from(id)).to_owned())
        };
        let mut explanation = format!("定位到{}级", c.level.zh());
        explanation.push_str(&c.notes);
        if factor < 1.0 {
            explanation.push_str("；另有相近的候选");
        }
        Match {
            address: c.entry.map_or(c.address, |e| self.address_of(&e)),
            district: name(c.district, &self.districts),
            street: name(c.street, &self.streets),
            road: c.road.map_or_else(String::new, |id| self.roads.name(id).to_owned()),
            lon: c.place.lon,
            lat: c.place.lat,
            level: c.level,
            confidence: ((c.score * factor).clamp(0.0, 1.0) * 1000.0).round() / 1000.0,
            explanation,
        }
    }

    fn admin(&self, a: &Address) -> Admin {
        let similar = |names: &super::Names, name: &str| {
            if let Some(id) = names.get(name) {
                return Some((id as u16, Edit::None));
            }
            let chars: Vec<char> = name.chars().collect();
            let found = if chars.len() >= 3 { names.similar(&chars) } else { vec![] };
            // Two districts as near: no knowing which.
            (found.len() == 1).then(|| (found[0].0 as u16, found[0].1))
        };
        let district = a.district.as_deref().and_then(|d| similar(&self.districts, present_name(d).unwrap_or(d)));
        Admin {
            district,
            unknown_district: a.district.clone().filter(|_| district.is_none()),
            street: a.street.as_deref().and_then(|s| similar(&self.streets, s)),
        }
    }

    /// Roads (or villages) that carry the house, likeliest first.
    fn roads_of(&self, a: &Address, admin: &Admin) -> Vec<RoadHit> {
        let named = [&a.road, &a.village];
        let mut hits = Vec::new();
        if let Some(road) = named.into_iter().flatten().find_map(|n| self.roads.get(n)) {
            hits.push(RoadHit { road, edit: Edit::None, quality: 1.0 });
            // Elsewhere than told, the name may be another's with an error.
            let elsewhere =
                admin.district.is_some_and(|(d, _)| self.parts[road as usize].iter().all(|p| p.district != d))
                    || admin.street.is_some_and(|(s, _)| self.entries_of(road).iter().all(|e| e.street != s));
            if !elsewhere {
                return hits;
            }
        }
        // What stands between the district and the first number, then roads that seemed to be others.
        let mut zone = String::new();
        for part in &a.parts {
            match part.kind {
                PartKind::Street | PartKind::Village | PartKind::Road | PartKind::Poi => zone.push_str(&part.text),
                PartKind::Lane | PartKind::Number | PartKind::Building | PartKind::Room if !zone.is_empty() => break,
                _ => {}
            }
        }
        let zones = [a.road.clone().unwrap_or_default(), zone].into_iter().chain(a.crossings.iter().cloned());
        for zone in zones {
            for hit in self.roads_within(&zone) {
                match hits.iter_mut().find(|h: &&mut RoadHit| h.road == hit.road) {
                    Some(known) if known.quality >= hit.quality => {}
                    Some(known) => *known = hit,
                    None => hits.push(hit),
                }
            }
        }
        hits.sort_by(|x, y| y.quality.total_cmp(&x.quality).then(x.road.cmp(&y.road)));
        hits.truncate(24);
        hits
    }

    /// Roads named in a stretch of text, exactly or with one error.
    pub(super) fn roads_within(&self, zone: &str) -> Vec<RoadHit> {
        // Nobody writes longer ones; a page pasted into the field must not cost seconds.
        const LONGEST: usize = 40;
        let all: Vec<char> = zone.chars().collect();
        let chars = &all[all.len().saturating_sub(LONGEST)..];
        if chars.len() < 2 {
            return vec![];
        }
        let exact = self.roads.within(chars, false);
        let similar = self.roads.within(chars, true);
        let rate = |(road, len, edit): (u32, usize, Edit)| {
            let longer = len.max(self.roads.name(road).chars().count()) as f64;
            let explained = (len as f64 - edit.cost()) / chars.len() as f64;
            let quality = 0.5 * (1.0 - edit.cost() / longer) + 0.5 * explained;
            // Text around an exact name is often a place's or street's: less weight.
            let quality =
                if edit == Edit::None { quality.max(0.9 - 0.02 * (chars.len() - len) as f64) } else { quality };
            RoadHit { road, edit, quality }
        };
        exact.into_iter().chain(similar).map(rate).filter(|h| h.quality > 0.2).collect()
    }

    pub(super) fn rate_part(&self, admin: &Admin, hit: RoadHit, part: &RoadPart, parts: &[RoadPart]) -> (f64, String) {
        let mut notes = String::new();
        let road = self.roads.name(hit.road);
        if hit.edit != Edit::None {
            let _ = write!(notes, "；道路名按「{road}」更正");
        }
        let district = self.districts.name(u32::from(part.district));
        let factor = match admin.district {
            Some((id, edit)) if id == part.district => {
                if edit != Edit::None {
                    let _ = write!(notes, "；区名按「{district}」更正");
                }
                1.0 - 0.05 * edit.cost()
            }
            Some(_) => {
                let _ = write!(notes, "；所写的区没有这条路，取{district}");
                0.5
            }
            None => {
                if let Some(unknown) = &admin.unknown_district {
                    let _ = write!(notes, "；不认识区名「{unknown}」");
                }
                if parts.len() == 1 {
                    0.99
                } else {
                    notes.push_str("；未写明区，这条路不止在一个区");
                    let total: u32 = parts.iter().map(|p| p.count).sum();
                    0.85 + 0.1 * f64::from(part.count) / f64::from(total)
                }
            }
        };
        (hit.quality * factor, notes)
    }

    /// Streets are often told wrong, but beside a road's name with an error they are what tells
    /// one road from another.
    fn street_factor(&self, admin: &Admin, edit: Edit, street: u16, notes: &mut String) -> f64 {
        match admin.street {
            Some((id, _)) if id == street => 1.0,
            Some(_) => {
                let _ = write!(notes, "；街道不同，登记为{}", self.streets.name(u32::from(street)));
                if edit == Edit::None { 0.9 } else { 0.7 }
            }
            None => 0.995,
        }
    }

    /// The house on a road, or the nearest thing to it, for each district the road is in.
    fn on_road(&self, a: &Address, admin: &Admin, hit: RoadHit, found: &mut Vec<Candidate>) {
        let entries = self.entries_of(hit.road);
        let parts = &self.parts[hit.road as usize];
        let asked = a.number.as_ref().map(|n| n.first).or(a.lane.map(|_| 0));
        for part in parts {
            let (score, notes) = self.rate_part(admin, hit, part, parts);
            let lane = a.lane.unwrap_or(0);
            let first = entries.partition_point(|e| e.lane < lane);
            let after = entries.partition_point(|e| e.lane <= lane);
            let here = |e: &&Entry| e.district == part.district;
            let before = found.len();
            if asked.is_some() {
                self.houses(a, admin, &entries[first..after], hit, part, score, &notes, found);
            }
            if found.len() > before {
                continue;
            }
            // Numbers of the road itself and of lanes run together along it.
            let wanted = if lane > 0 { Some(lane) } else { asked };
            if let Some(wanted) = wanted {
                let mut row: Vec<(u32, &Entry)> = entries
                    .iter()
                    .filter(here)
                    .map(|e| (if e.lane > 0 { e.lane } else { e.first }, e))
                    .filter(|(n, _)| *n > 0)
                    .collect();
                row.sort_by_key(|(n, _)| *n);
                if let Some((place, entry, how)) = between(&row, wanted) {
                    let mut notes = notes.clone();
                    let thing = if lane > 0 { format!("{lane}弄") } else { format!("{wanted}号") };
                    let _ = write!(notes, "；地名库没有{thing}，{how}");
                    let factor = 0.8 * self.street_factor(admin, hit.edit, entry.street, &mut notes);
                    let address = format!("{}{}", self.head(part.district, Some(hit.road)), thing);
                    found.push(Candidate {
                        score: score * factor,
                        level: MatchLevel::Interpolated,
                        place,
                        entry: None,
                        road: Some(hit.road),
                        district: Some(part.district),
                        street: Some(entry.street),
                        address,
                        notes,
                    });
                    continue;
                }
            }
            self.road_itself(a, hit.road, part, score, notes, found);
        }
    }

    /// The road's middle, or the place told from it.
    pub(super) fn road_itself(
        &self,
        a: &Address,
        road: u32,
        part: &RoadPart,
        score: f64,
        mut notes: String,
        found: &mut Vec<Candidate>,
    ) {
        let middle = LonLat { lon: part.lon, lat: part.lat };
        // The mean of a bent road may lie beside it.
        let nearest = self.entries_of(road).iter().filter(|e| e.district == part.district).min_by(|x, y| {
            let d = |e: &Entry| e.position().distance_m(middle);
            d(x).total_cmp(&d(y))
        });
        notes.push_str("；取道路中段");
        if a.offset.is_some_and(|o| o.metres.is_some()) {
            notes.push_str("，没有起点，未计方位距离");
        }
        found.push(Candidate {
            score: score * 0.7,
            level: MatchLevel::Road,
            place: nearest.map_or(middle, Entry::position),
            entry: None,
            road: Some(road),
            district: Some(part.district),
            street: nearest.map(|e| e.street),
            address: self.head(part.district, Some(road)),
            notes,
        });
    }

    /// Entries of one lane (or of the road) that have the number, or else the lane itself.
    #[expect(clippy::too_many_arguments, reason = "one call, the candidate's context")]
    fn houses(
        &self,
        a: &Address,
        admin: &Admin,
        lane: &[Entry],
        hit: RoadHit,
        part: &RoadPart,
        score: f64,
        notes: &str,
        found: &mut Vec<Candidate>,
    ) {
        let here = lane.iter().filter(|e| e.district == part.district);
        let house = a.number.clone().unwrap_or_default();
        let sub_lane = a.sub_lane.unwrap_or(0);
        let mut best: Option<(f64, Entry, MatchLevel, String)> = None;
        let mut exact = 0;
        for e in here {
            let mut own = String::new();
            let in_range = e.first <= house.first && house.first - e.first <= u32::from(e.range);
            let (mut fit, level) = if house.first > 0 && in_range {
                (1.0, MatchLevel::Number)
            } else if a.lane.is_some() {
                let whole = house.first == 0;
                if !whole {
                    let _ = write!(own, "；弄内没有{}，取相近门牌", house);
                }
                let off = f64::from(e.first.abs_diff(house.first));
                (if whole { 0.9 - off * 1e-6 } else { 0.85 - 0.1 * off / (off + 50.0) }, MatchLevel::Lane)
            } else {
                continue;
            };
            let suffix = e.suffix.checked_sub(1).map(|i| super::SUFFIXES[usize::from(i)]);
            if level == MatchLevel::Number {
                if suffix != house.suffix || u32::from(e.branch) != house.branch.unwrap_or(0) {
                    fit *= 0.95;
                    own.push_str("；附号不同");
                }
                if u32::from(e.sub_lane) != sub_lane {
                    fit *= 0.93;
                    own.push_str("；支弄不同");
                }
            }
            fit *= self.street_factor(admin, hit.edit, e.street, &mut own);
            exact += usize::from(level == MatchLevel::Number);
            if best.as_ref().is_none_or(|b| fit > b.0) {
                best = Some((fit, *e, level, own));
            }
        }
        let Some((fit, e, level, own)) = best else { return };
        let mut notes = format!("{notes}{own}");
        let mut place = e.position();
        if let Some(offset) = a.offset {
            let (moved, along) = self.displaced(place, offset, Some(e.road));
            place = moved;
            let _ = write!(notes, "；{offset}{}", if along { "（沿路）" } else { "（按方位）" });
        } else if exact == 1 && notes.is_empty() {
            notes.push_str("；道路与门牌一致");
        }
        let entry = Some(e).filter(|_| level == MatchLevel::Number && a.offset.is_none());
        let mut address = if level == MatchLevel::Lane {
            format!("{}{}弄", self.head(part.district, Some(e.road)), e.lane)
        } else {
            self.address_of(&e)
        };
        if let Some(offset) = a.offset {
            let _ = write!(address, "{offset}");
        }
        found.push(Candidate {
            score: score * fit,
            level,
            place,
            entry,
            road: Some(e.road),
            district: Some(part.district),
            street: Some(e.street),
            address,
            notes,
        });
    }

    pub(super) fn head(&self, district: u16, road: Option<u32>) -> String {
        let road = road.map_or("", |id| self.roads.name(id));
        [self.city.as_str(), self.districts.name(u32::from(district)), road].concat()
    }

    /// The street or district, if no road is known.
    fn areas(&self, a: &Address, admin: &Admin, found: &mut Vec<Candidate>) {
        let lost = a.road.as_ref().map_or_else(String::new, |r| format!("；地名库没有「{r}」"));
        if let Some((id, edit)) = admin.street {
            let (district, middle) = self.street_middles[usize::from(id)];
            let same = admin.district.is_none_or(|(d, _)| d == district);
            found.push(Candidate {
                score: if same { 0.45 } else { 0.25 } - 0.05 * edit.cost(),
                level: MatchLevel::Street,
                place: middle.mean(),
                entry: None,
                road: None,
                district: Some(district),
                street: Some(id),
                address: self.head(district, None) + self.streets.name(u32::from(id)),
                notes: lost.clone(),
            });
        }
        if let Some((id, edit)) = admin.district {
            found.push(Candidate {
                score: 0.3 - 0.05 * edit.cost(),
                level: MatchLevel::District,
                place: self.district_middles[usize::from(id)].mean(),
                entry: None,
                road: None,
                district: Some(id),
                street: None,
                address: self.head(id, None),
                notes: lost,
            });
        }
    }
}

/// A place for a number between its neighbours (by number, ascending), the nearest of them, and
/// how it was found. Houses of one side have numbers of one parity: those first.
fn between<'a>(row: &[(u32, &'a Entry)], wanted: u32) -> Option<(LonLat, &'a Entry, String)> {
    let side: Vec<&(u32, &Entry)> = row.iter().filter(|(n, _)| n % 2 == wanted % 2).collect();
    let side = if side.is_empty() { row.iter().collect() } else { side };
    let at = side.partition_point(|(n, _)| *n < wanted);
    let low = at.checked_sub(1).map(|i| side[i]);
    let high = side.get(at).copied();
    match (low, high) {
        (Some((m, a)), Some((n, b))) if n > m => {
            let (p, q) = (a.position(), b.position());
            let t = f64::from(wanted - m) / f64::from(n - m);
            let place = LonLat { lon: p.lon + t * (q.lon - p.lon), lat: p.lat + t * (q.lat - p.lat) };
            Some((place, if t < 0.5 { a } else { b }, format!("按{m}与{n}之间内插")))
        }
        (Some((n, e)), _) | (_, Some((n, e))) => Some((e.position(), e, format!("取最近的{n}"))),
        (None, None) => None,
    }
}
