//! A 64-bit hash of row contents that is the same on every machine and in every version: it is
//! kept on disk. Not for adversaries; keys of rows are hashed with blake3 by their makers.

const P0: u64 = 0xa076_1d64_78bd_642f;
const P1: u64 = 0xe703_7ed1_a0b4_28db;
const P2: u64 = 0x8ebc_6af0_9c88_c6e3;

/// Multiplies to 128 bits and folds the halves.
#[inline]
pub fn mix(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ ((wide >> 64) as u64)
}

#[inline]
pub fn hash_u64(seed: u64, value: u64) -> u64 {
    mix(value ^ P0 ^ seed, P1 ^ seed.rotate_left(32))
}

#[inline]
fn read(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

#[inline]
pub fn hash_bytes(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = seed ^ mix(bytes.len() as u64 ^ P2, P1);
    let mut chunks = bytes.chunks_exact(16);
    for chunk in &mut chunks {
        state = mix(read(&chunk[..8]) ^ P0 ^ state, read(&chunk[8..]) ^ P1);
    }
    let rest = chunks.remainder();
    let (head, tail) = rest.split_at(rest.len().min(8));
    mix(read(head) ^ P1 ^ state, read(tail) ^ P2)
}

/// A row's share in a dataset's checksum: shares add up in any order.
pub fn row(key: u128, content: u64) -> u128 {
    let low = mix(key as u64 ^ content, 0x9e37_79b9_7f4a_7c15);
    let high = mix((key >> 64) as u64 ^ content.rotate_left(29), 0xc2b2_ae3d_27d4_eb4f);
    u128::from(high) << 64 | u128::from(low)
}

/// The seed of a field, from its name: a row's hash is the sum over its non-null fields, so a
/// field that joins the dataset later leaves the hashes of old rows as they are.
pub fn field_seed(name: &str) -> u64 {
    hash_bytes(P2, name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_stay() {
        // These are on disk in every store: a change here needs a new segment format.
        assert_eq!(hash_bytes(1, b""), hash_bytes(1, b""));
        assert_ne!(hash_bytes(1, b"a"), hash_bytes(1, b"a\0"));
        assert_ne!(hash_bytes(1, &[0; 8]), hash_bytes(1, &[0; 16]));
        assert_ne!(hash_u64(1, 2), hash_u64(2, 1));
        insta::assert_debug_snapshot!([hash_bytes(7, "浦东新区".as_bytes()), hash_u64(7, 42), field_seed("district")]);
    }
}
