//! Converts a file and prints the median seconds of some rounds; `tests/peers/geo.py` runs it.
//!
//! - `convert points FROM TO IN OUT ROUNDS`: little-endian f64 pairs, the conversion alone.
//! - `convert csv FROM TO IN OUT ROUNDS`: a CSV with the columns lon and lat, file to file.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::time::Instant;

use zonglan_geo::{Column, Crs, CsvOptions, Transform, stream_csv};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kind, from, to, input, output, rounds] = &args[..] else {
        return Err("arguments: points|csv FROM TO IN OUT ROUNDS".into());
    };
    let transform = Transform::new(from.parse::<Crs>()?, to.parse::<Crs>()?)?;
    let mut seconds = Vec::new();
    for _ in 0..rounds.parse()? {
        if kind == "csv" {
            let start = Instant::now();
            let options = CsvOptions::new(Column::Name("lon".into()), Column::Name("lat".into()), &transform);
            let (reader, writer) = (BufReader::new(File::open(input)?), BufWriter::new(File::create(output)?));
            let summary = stream_csv(&transform, &options, reader, writer, |_| ())?;
            seconds.push(start.elapsed().as_secs_f64());
            assert_eq!(summary.bad, 0);
        } else {
            let bytes = fs::read(input)?;
            let number = |b: &[u8]| f64::from_le_bytes(std::array::from_fn(|i| b[i]));
            let mut points: Vec<[f64; 2]> =
                bytes.chunks_exact(16).map(|b| [number(&b[..8]), number(&b[8..])]).collect();
            let start = Instant::now();
            let errors = transform.points_in_place(&mut points);
            seconds.push(start.elapsed().as_secs_f64());
            assert!(errors.is_empty());
            fs::write(output, points.iter().flatten().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())?;
        }
    }
    seconds.sort_by(f64::total_cmp);
    println!("{}", seconds.get(seconds.len() / 2).ok_or("no rounds")?);
    Ok(())
}
