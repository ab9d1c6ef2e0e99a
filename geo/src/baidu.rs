//! BD-09 Mercator, the plane of Baidu's maps: BD-09 degrees to metres.
//!
//! Within bands of latitude a line in longitude and a polynomial of degree six in latitude; the
//! coefficients are those of gcoord 1.0.7 (npm, MIT), which has them from Baidu's script. Baidu's
//! way back is another set of polynomials, good to centimetres; here the forward one is solved, so
//! that a round trip is exact to 1e-6 m.

/// From this absolute latitude each row of [`FACTORS`] holds.
const BANDS: [f64; 6] = [75.0, 60.0, 45.0, 30.0, 15.0, 0.0];

/// Offset and factor of longitude, seven coefficients of latitude, the latitude's unit.
const FACTORS: [[f64; 10]; 6] = [
    [
        -0.001_570_210_244_4,
        111_320.702_061_693_9,
        1_704_480_524_535_203.0,
        -1.033898737604234e+16,
        2.611266785660388e+16,
        -3.51496691766537e+16,
        2.659570071840392e+16,
        -1.072501245418824e+16,
        1_800_819_912_950_474.0,
        82.5,
    ],
    [
        0.000_827_782_451_617_252_6,
        111_320.702_046_357_8,
        647_795_574.667_160_7,
        -4_082_003_173.641_316,
        10_774_905_663.511_42,
        -15_171_875_531.515_59,
        12_053_065_338.621_67,
        -5_124_939_663.577_472,
        913_311_935.951_203_2,
        67.5,
    ],
    [
        0.003_373_987_667_65,
        111_320.702_020_216_2,
        4_481_351.045_890_365,
        -23_393_751.199_316_62,
        79_682_215.471_864_55,
        -115_964_993.279_725_3,
        97_236_711.156_021_45,
        -43_661_946.337_528_21,
        8_477_230.501_135_234,
        52.5,
    ],
    [
        0.002_206_364_962_08,
        111_320.702_020_912_8,
        51_751.861_128_411_31,
        3_796_837.749_470_245,
        992_013.739_779_101_3,
        -1_221_952.217_112_87,
        1_340_652.697_009_075,
        -620_943.699_098_431_2,
        144_416.929_380_624_1,
        37.5,
    ],
    [
        -0.000_344_196_350_436_839_2,
        111_320.702_057_685_6,
        278.235_398_077_275_2,
        2_485_758.690_035_394,
        6_070.750_963_243_378,
        54_821.183_453_521_18,
        9_540.606_633_304_236,
        -2_710.553_267_466_45,
        1_405.483_844_121_726,
        22.5,
    ],
    [
        -0.000_321_813_587_861_313_2,
        111_320.702_070_161_5,
        0.003_693_834_312_89,
        823_725.640_279_571_8,
        0.461_049_869_090_93,
        2_351.343_141_331_292,
        1.580_607_842_981_99,
        8.777_385_890_782_84,
        0.372_388_842_524_24,
        7.45,
    ],
];

fn factors(lat: f64) -> &'static [f64; 10] {
    let band = BANDS.iter().position(|from| lat.abs() > *from).unwrap_or(BANDS.len() - 1);
    &FACTORS[band]
}

/// Metres north of a latitude above 0, and its derivative.
fn north(f: &[f64; 10], lat: f64) -> (f64, f64) {
    let c = lat / f[9];
    let (mut value, mut slope) = (0.0, 0.0);
    for k in (2..9).rev() {
        slope = slope * c + value;
        value = value * c + f[k];
    }
    (value, slope / f[9])
}

/// BD-09 degrees to metres.
pub(crate) fn forward([lon, lat]: [f64; 2]) -> [f64; 2] {
    let f = factors(lat);
    let east = f[0] + f[1] * lon.abs();
    [east.copysign(lon), north(f, lat.abs()).0.copysign(lat)]
}

/// Metres to BD-09 degrees: Newton's method from the latitude on the sphere.
pub(crate) fn inverse([east, y]: [f64; 2]) -> [f64; 2] {
    let mut lat = crate::mercator::inverse([0.0, y.abs()])[1];
    for _ in 0..6 {
        let (value, slope) = north(factors(lat), lat);
        lat = (lat - (value - y.abs()) / slope).clamp(0.0, 89.9);
    }
    let f = factors(lat);
    let lon = (east.abs() - f[0]) / f[1];
    [lon.copysign(east), lat.copysign(y)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_in_china() {
        for i in 0..600 {
            for j in 0..60 {
                let p = [73.0 + f64::from(i) * 0.1, 3.01 + f64::from(j) * 0.85];
                let m = forward(p);
                let q = inverse(m);
                assert!((q[0] - p[0]).abs() < 1e-11 && (q[1] - p[1]).abs() < 1e-11, "{p:?} {q:?}");
            }
        }
    }
}
