//! A gazetteer: standard addresses with their places, in memory.
//!
//! [`Gazetteer::geocode`] finds the place of an address, [`Gazetteer::reverse`] the address of a
//! place. Points are longitude and latitude in degrees of the system the rows were given in.

mod crossing;
mod geocode;
mod names;

use std::collections::HashMap;

use rstar::primitives::GeomWithData;
use rstar::{PointDistance, RTree};
use serde::Serialize;

use crate::address::names::present_name;
use crate::address::{Address, HouseNumber};
use crate::error::GeoError;
use crate::units::{LonLat, check_degrees};
use names::Names;

/// A row of a gazetteer. Empty texts are taken from `address`, an empty `address` is put together
/// from the others.
#[derive(Debug, Clone, Copy, Default)]
pub struct GazetteerRow<'a> {
    pub address: &'a str,
    pub district: &'a str,
    /// 街道, 镇 or 乡.
    pub street: &'a str,
    /// A road, or a village where houses are numbered by village.
    pub road: &'a str,
    /// 120 or 120弄.
    pub lane: &'a str,
    /// 35, 35号, 35-37号, 35号甲.
    pub number: &'a str,
    pub lon: f64,
    pub lat: f64,
}

/// How exactly an address was placed, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchLevel {
    /// The house.
    Number,
    /// The crossing of two roads, with the offset if one is given.
    Crossing,
    /// Between the neighbouring numbers.
    Interpolated,
    /// The lane; its house is not known or not asked for.
    Lane,
    /// The road; the house is not known or not asked for.
    Road,
    Street,
    District,
}

impl MatchLevel {
    pub fn zh(self) -> &'static str {
        ["门牌", "路口", "门牌内插", "弄", "道路", "街道（镇）", "区"][self as usize]
    }
}

/// A place found for an address.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Match {
    /// Standard address of what was found.
    pub address: String,
    pub district: String,
    pub street: String,
    pub road: String,
    pub lon: f64,
    pub lat: f64,
    pub level: MatchLevel,
    /// 0 to 1; below 0.8 a person should look at it.
    pub confidence: f64,
    /// In Chinese: what agreed, what was corrected, what is missing.
    pub explanation: String,
}

/// The nearest address of a point.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Nearest {
    pub address: String,
    pub district: String,
    pub street: String,
    pub road: String,
    /// Of the address.
    pub lon: f64,
    pub lat: f64,
    pub distance_m: f64,
}

/// A whole entry, as it can be added to a gazetteer again.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRow {
    pub address: String,
    pub district: String,
    pub street: String,
    pub road: String,
    /// 120弄 or 120弄3支弄; empty if there is none.
    pub lane: String,
    pub number: String,
    pub lon: f64,
    pub lat: f64,
}

/// One address in 40 bytes.
#[derive(Debug, Clone, Copy)]
struct Entry {
    road: u32,
    /// 0 if there is none.
    lane: u32,
    first: u32,
    /// Degrees times 1e7 (1 cm).
    lon: i32,
    lat: i32,
    /// Where the address stands in `texts`, if it is not what the parts make.
    text: u32,
    text_len: u16,
    sub_lane: u16,
    district: u16,
    street: u16,
    /// The end of a range less `first`.
    range: u16,
    branch: u16,
    suffix: u8,
}

const SUFFIXES: [char; 10] = ['甲', '乙', '丙', '丁', 'A', 'B', 'C', 'D', 'E', 'F'];

impl Entry {
    fn position(&self) -> LonLat {
        LonLat { lon: f64::from(self.lon) / 1e7, lat: f64::from(self.lat) / 1e7 }
    }

    fn house_number(&self) -> Option<HouseNumber> {
        (self.first > 0).then(|| HouseNumber {
            first: self.first,
            last: (self.range > 0).then(|| self.first + u32::from(self.range)),
            branch: (self.branch > 0).then(|| u32::from(self.branch)),
            suffix: self.suffix.checked_sub(1).map(|i| SUFFIXES[usize::from(i)]),
            provisional: false,
        })
    }
}

/// The part of a road in one district.
#[derive(Debug, Clone, Copy)]
struct RoadPart {
    district: u16,
    count: u32,
    lon: f64,
    lat: f64,
}

/// Sum of places, for the middle of a district or street.
#[derive(Debug, Clone, Copy, Default)]
struct Middle {
    count: u32,
    lon: f64,
    lat: f64,
}

impl Middle {
    fn add(&mut self, p: LonLat) {
        self.count += 1;
        self.lon += p.lon;
        self.lat += p.lat;
    }

    fn mean(&self) -> LonLat {
        let n = f64::from(self.count.max(1));
        LonLat { lon: self.lon / n, lat: self.lat / n }
    }
}

/// Places as the plane around the city, so that distances compare: longitude shrunk.
type Leaf = GeomWithData<[f64; 2], u32>;

/// Standard addresses with their index. Immutable: build another to change it.
pub struct Gazetteer {
    city: String,
    districts: Names,
    streets: Names,
    roads: Names,
    texts: String,
    /// By road, lane, sub-lane and number.
    entries: Vec<Entry>,
    /// Where each road's entries begin; one more than roads.
    starts: Vec<u32>,
    parts: Vec<Vec<RoadPart>>,
    /// Middle of each district, and of each street with its district.
    district_middles: Vec<Middle>,
    street_middles: Vec<(u16, Middle)>,
    crossings: HashMap<(u32, u32), Vec<(i32, i32)>>,
    tree: RTree<Leaf>,
    /// Cosine of the middle latitude.
    shrink: f64,
}

/// Collects rows for a [`Gazetteer`].
#[derive(Default)]
pub struct GazetteerBuilder {
    city: String,
    districts: Names,
    streets: Names,
    roads: Names,
    texts: String,
    entries: Vec<Entry>,
    crossings: HashMap<(u32, u32), Vec<(i32, i32)>>,
}

fn scaled(degrees: f64) -> i32 {
    (degrees * 1e7).round() as i32
}

impl GazetteerBuilder {
    /// `city` (上海市) begins the standard addresses that are put together.
    pub fn new(city: &str) -> Self {
        Self { city: city.to_owned(), ..Default::default() }
    }

    /// Fails if the place is not on Earth or there is no road; nothing is added then.
    pub fn add(&mut self, row: &GazetteerRow) -> Result<(), GeoError> {
        let fail = |reason: &str| GeoError::Address { address: row.address.to_owned(), reason: reason.to_owned() };
        check_degrees(row.lon, row.lat).map_err(|e| fail(&e.zh()))?;
        let parts_given = !row.road.is_empty() && !row.district.is_empty();
        let parsed = if parts_given { Address::default() } else { Address::parse(row.address) };
        let or = |given: &str, parsed: Option<String>| {
            let given = given.trim();
            if given.is_empty() { parsed.unwrap_or_default() } else { given.to_owned() }
        };
        let road = or(row.road, parsed.road.or(parsed.village));
        if road.is_empty() {
            return Err(fail("没有道路或村名"));
        }
        let district = or(row.district, parsed.district);
        let district = present_name(&district).map_or(district, str::to_owned);
        let street = or(row.street, parsed.street);
        let house = if row.lane.trim().is_empty() && row.number.trim().is_empty() {
            if parts_given {
                Address::parse(row.address)
            } else {
                Address { lane: parsed.lane, sub_lane: parsed.sub_lane, number: parsed.number, ..Default::default() }
            }
        } else {
            let unit = |text: &str, unit: &str| {
                let text = text.trim();
                if text.is_empty() || text.ends_with(|c: char| !c.is_ascii_digit()) {
                    text.to_owned()
                } else {
                    format!("{text}{unit}")
                }
            };
            Address::parse(&format!("某路{}{}", unit(row.lane, "弄"), unit(row.number, "号")))
        };
        let (lane, sub_lane) = (house.lane.unwrap_or(0), house.sub_lane.unwrap_or(0));
        let number = house.number.unwrap_or_default();
        let mut entry = Entry {
            road: self.roads.intern(&road),
            lane,
            first: number.first,
            lon: scaled(row.lon),
            lat: scaled(row.lat),
            text: 0,
            text_len: 0,
            sub_lane: sub_lane.min(u32::from(u16::MAX)) as u16,
            district: self.districts.intern(&district).min(u32::from(u16::MAX)) as u16,
            street: self.streets.intern(&street).min(u32::from(u16::MAX)) as u16,
            range: number.last.map_or(0, |last| (last - number.first.min(last)).min(u32::from(u16::MAX)) as u16),
            branch: number.branch.unwrap_or(0).min(u32::from(u16::MAX)) as u16,
            suffix: number.suffix.and_then(|c| SUFFIXES.iter().position(|s| *s == c)).map_or(0, |i| i as u8 + 1),
        };
        let made = compose(&self.city, &district, &street, &road, &entry);
        let address = row.address.trim();
        if !address.is_empty() && address != made {
            let at = u32::try_from(self.texts.len()).map_err(|_| fail("地名库超过 4 GB"))?;
            let mut end = address.len().min(usize::from(u16::MAX));
            while !address.is_char_boundary(end) {
                end -= 1;
            }
            self.texts.push_str(&address[..end]);
            (entry.text, entry.text_len) = (at, end as u16);
        }
        self.entries.push(entry);
        Ok(())
    }

    /// A surveyed crossing of two roads; without one the crossing is worked out from the addresses.
    pub fn add_crossing(&mut self, road: &str, other: &str, lon: f64, lat: f64) -> Result<(), GeoError> {
        check_degrees(lon, lat)
            .map_err(|e| GeoError::Address { address: format!("{road}/{other}"), reason: e.zh() })?;
        let (a, b) = (self.roads.intern(road.trim()), self.roads.intern(other.trim()));
        self.crossings.entry((a.min(b), a.max(b))).or_default().push((scaled(lon), scaled(lat)));
        Ok(())
    }

    /// Sorts and indexes: about a second for a million rows.
    pub fn build(mut self) -> Gazetteer {
        self.entries.shrink_to_fit();
        self.entries.sort_unstable_by_key(|e| (e.road, e.lane, e.sub_lane, e.first, e.branch, e.suffix, e.lon, e.lat));
        let roads = self.roads.len();
        let mut starts = vec![0u32; roads + 1];
        let mut parts: Vec<Vec<RoadPart>> = vec![Vec::new(); roads];
        let mut district_middles = vec![Middle::default(); self.districts.len()];
        let mut street_middles = vec![(0u16, Middle::default()); self.streets.len()];
        let mut all = Middle::default();
        for entry in &self.entries {
            let p = entry.position();
            starts[entry.road as usize + 1] += 1;
            all.add(p);
            district_middles[usize::from(entry.district)].add(p);
            let street = &mut street_middles[usize::from(entry.street)];
            street.0 = entry.district;
            street.1.add(p);
            let list = &mut parts[entry.road as usize];
            let at = list.iter().position(|part| part.district == entry.district).unwrap_or_else(|| {
                list.push(RoadPart { district: entry.district, count: 0, lon: 0.0, lat: 0.0 });
                list.len() - 1
            });
            let part = &mut list[at];
            part.count += 1;
            part.lon += p.lon;
            part.lat += p.lat;
        }
        for i in 0..roads {
            starts[i + 1] += starts[i];
        }
        for part in parts.iter_mut().flatten() {
            part.lon /= f64::from(part.count);
            part.lat /= f64::from(part.count);
        }
        let shrink = all.mean().lat.to_radians().cos();
        let leaves = self.entries.iter().enumerate();
        let tree = RTree::bulk_load(
            leaves
                .map(|(i, e)| {
                    let p = e.position();
                    Leaf::new([p.lon * shrink, p.lat], i as u32)
                })
                .collect(),
        );
        Gazetteer {
            city: self.city,
            districts: self.districts,
            streets: self.streets,
            roads: self.roads,
            texts: self.texts,
            entries: self.entries,
            starts,
            parts,
            district_middles,
            street_middles,
            crossings: self.crossings,
            tree,
            shrink,
        }
    }
}

/// The standard address that an entry's parts make.
fn compose(city: &str, district: &str, street: &str, road: &str, e: &Entry) -> String {
    let mut text = [city, district, street, road].concat();
    if e.lane > 0 {
        text.push_str(&format!("{}弄", e.lane));
    }
    if e.sub_lane > 0 {
        text.push_str(&format!("{}支弄", e.sub_lane));
    }
    if let Some(number) = e.house_number() {
        text.push_str(&number.to_string());
    }
    text
}

impl Gazetteer {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Roads (and villages) known.
    pub fn roads(&self) -> usize {
        self.roads.len()
    }

    /// Bytes of the index, estimated.
    pub fn heap_bytes(&self) -> usize {
        let parts: usize = self.parts.iter().map(|p| 24 + p.capacity() * size_of::<RoadPart>()).sum();
        let names = self.roads.heap_bytes() + self.streets.heap_bytes() + self.districts.heap_bytes();
        // A node of the tree has six children at most and half as many at least.
        let tree = self.entries.len() * (size_of::<rstar::RTreeNode<Leaf>>() * 3 / 2);
        self.entries.capacity() * size_of::<Entry>()
            + self.texts.capacity()
            + self.starts.len() * 4
            + parts
            + names
            + tree
    }

    /// The nearest address of a point. `None` for points not on Earth and an empty gazetteer; how
    /// far is too far is for the caller to say.
    pub fn reverse(&self, lon: f64, lat: f64) -> Option<Nearest> {
        check_degrees(lon, lat).ok()?;
        let here = [lon * self.shrink, lat];
        let leaf = self.tree.nearest_neighbor(here)?;
        debug_assert!(leaf.distance_2(&here).is_finite());
        let entry = &self.entries[leaf.data as usize];
        let p = entry.position();
        Some(Nearest {
            address: self.address_of(entry),
            district: self.districts.name(u32::from(entry.district)).to_owned(),
            street: self.streets.name(u32::from(entry.street)).to_owned(),
            road: self.roads.name(entry.road).to_owned(),
            lon: p.lon,
            lat: p.lat,
            distance_m: p.distance_m(LonLat { lon, lat }),
        })
    }

    /// The places of all addresses in a box.
    pub fn within(&self, area: crate::units::BBox) -> impl Iterator<Item = (f64, f64)> {
        let corners = [[area.west * self.shrink, area.south], [area.east * self.shrink, area.north]];
        let envelope = rstar::AABB::from_corners(corners[0], corners[1]);
        self.tree.locate_in_envelope(envelope).map(|leaf| {
            let p = self.entries[leaf.data as usize].position();
            (p.lon, p.lat)
        })
    }

    /// All entries, by road, lane and number.
    pub fn rows(&self) -> impl Iterator<Item = StoredRow> {
        self.entries.iter().map(|e| {
            let (district, street, road) = (
                self.districts.name(u32::from(e.district)),
                self.streets.name(u32::from(e.street)),
                self.roads.name(e.road),
            );
            let place = e.position();
            let mut lane = if e.lane > 0 { format!("{}弄", e.lane) } else { String::new() };
            if e.sub_lane > 0 {
                lane.push_str(&format!("{}支弄", e.sub_lane));
            }
            StoredRow {
                address: self.address_of(e),
                district: district.to_owned(),
                street: street.to_owned(),
                road: road.to_owned(),
                lane,
                number: e.house_number().map(|n| n.to_string()).unwrap_or_default(),
                lon: place.lon,
                lat: place.lat,
            }
        })
    }

    fn address_of(&self, e: &Entry) -> String {
        if e.text_len > 0 {
            let at = e.text as usize;
            return self.texts[at..at + usize::from(e.text_len)].to_owned();
        }
        let district = self.districts.name(u32::from(e.district));
        compose(&self.city, district, self.streets.name(u32::from(e.street)), self.roads.name(e.road), e)
    }

    fn entries_of(&self, road: u32) -> &[Entry] {
        &self.entries[self.starts[road as usize] as usize..self.starts[road as usize + 1] as usize]
    }
}
