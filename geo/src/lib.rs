//! Coordinate systems and the regions of the city: values in, values out, no I/O but PROJ's
//! own database.
//!
//! - [`Transform`] converts points between any two [`Crs`]; x is always longitude or east, y
//!   always latitude or north, whatever order the authority of a system prescribes.
//! - [`RegionSet`] finds the district of a point, resolves old and longer codes, and gives the
//!   shapes for maps.
//! - [`Address`] parses Chinese addresses and writes them in standard form.
//! - [`Gazetteer`] finds addresses, forgiving dropped parts and typing errors, and the address of a point.
//! - [`fit_helmert`] and [`fit_bursa_wolf`] fit transforms to control points.
//! - [`units`] keeps degrees and metres apart in types.

mod address;
mod baidu;
mod crs;
mod datum;
mod error;
mod fit;
mod gauss;
mod gazetteer;
mod gcj;
mod geometry;
mod heat;
mod history;
mod mercator;
mod proj_db;
mod projection;
mod region;
mod region_check;
mod shape;
mod stream;
mod stream_rows;
mod tile;
mod topology;
mod transform;
pub mod units;

pub use address::{Address, Direction, HouseNumber, Offset, Part, PartKind};
pub use crs::{AxisOrder, ControlFit, Crs, CrsDefinition, CrsRegistry, Method, Status};
pub use datum::Ellipsoid;
pub use error::{GeoError, PointError};
pub use fit::{BursaWolf, Helmert};
pub use fit::{ControlPair, ControlPair3, FitReport, FitRules, Refusal, Residual, fit_bursa_wolf, fit_helmert};
pub use gazetteer::{Gazetteer, GazetteerBuilder, GazetteerRow, Match, MatchLevel, Nearest, StoredRow};
pub use gcj::{ACCEPTED_AREA, bd09_to_gcj02, gcj02_to_bd09, gcj02_to_wgs84, in_accepted_area, wgs84_to_gcj02};
pub use geometry::{GeometryError, transform_geojson};
pub use heat::{Cluster, DensityGrid, HEX_ANCHOR, HexBin, clusters, density, hex_bins};
pub use history::{RegionHistory, RegionVersion};
pub use proj_db::set_cache_dir;
pub use region::{Level, Predecessor, Region, RegionSet, SNAP_M};
pub use region_check::{Neighbour, ProblemKind, RegionCheck, RegionProblem};
pub use stream::{
    BadRow, Column, CsvOptions, StreamError, StreamSummary, stream_csv, stream_geojson, stream_geojson_with,
};
pub use stream_rows::append_columns;
pub use transform::{Batch, OutOfArea, Transform, TransformBuilder, TransformInfo};
pub use units::{BBox, EastNorth, LonLat, Position};
