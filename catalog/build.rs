//! Rebuilds the crate when a declared file changes: the packs are carried in the binary.

fn main() {
    println!("cargo:rerun-if-changed=packs");
}
