"""Converts the same points with Zonglan, pyproj and gcoord, on the same machine in one run.

    pip install numpy pyproj
    npm install gcoord            # in the folder that GCOORD_DIR names, or the present one
    cargo build -p zonglan-geo --example convert
    python3 tests/peers/geo.py [points] [rounds]

Points over Shanghai, each library on arrays in memory and on one core; the conversion alone is
timed, the median of the rounds printed, with the largest difference between the results. Last a
CSV of 300,000 rows, file to file, with Zonglan.
"""

import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import pyproj

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", pathlib.Path.home() / ".cache/zonglan-target"))
BINARY = TARGET / "debug/examples/convert"
GCOORD = pathlib.Path(os.environ.get("GCOORD_DIR", "."))

NODE = """
const fs = require('fs');
const gcoord = require('gcoord');
const [from, to, input, output, rounds] = process.argv.slice(2);
const bytes = fs.readFileSync(input);
const flat = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
const points = [];
for (let i = 0; i < flat.length; i += 2) points.push([flat[i], flat[i + 1]]);
const seconds = [];
let done;
for (let r = 0; r < +rounds; r++) {
  const start = process.hrtime.bigint();
  done = points.map(p => gcoord.transform(p, gcoord[from], gcoord[to]));
  seconds.push(Number(process.hrtime.bigint() - start) / 1e9);
}
fs.writeFileSync(output, Buffer.from(Float64Array.from(done.flat()).buffer));
seconds.sort((a, b) => a - b);
console.log(seconds[seconds.length >> 1]);
"""

# Zonglan's systems, the peer, its systems, metres of a unit (None: degrees).
CASES = [
    ("wgs84", "gcj02", "gcoord", "WGS84", "GCJ02", None),
    ("gcj02", "wgs84", "gcoord", "GCJ02", "WGS84", None),
    ("wgs84", "bd09", "gcoord", "WGS84", "BD09", None),
    ("bd09", "wgs84", "gcoord", "BD09", "WGS84", None),
    ("wgs84", "bd09-mercator", "gcoord", "WGS84", "BD09MC", 1.0),
    ("cgcs2000", "epsg:4549", "pyproj", "EPSG:4490", "EPSG:4549", 1.0),
    ("epsg:4549", "cgcs2000", "pyproj", "EPSG:4549", "EPSG:4490", None),
    ("cgcs2000", "epsg:4509", "pyproj", "EPSG:4490", "EPSG:4509", 1.0),
    ("wgs84", "web-mercator", "pyproj", "EPSG:4326", "EPSG:3857", 1.0),
]


def run(command, **more):
    return float(subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout)


def zonglan(kind, source, target, given, out, rounds):
    return run([BINARY, kind, source, target, given, out, str(rounds)])


def peer(name, source, target, given, out, rounds, folder):
    if name == "gcoord":
        script = folder / "peer.js"
        script.write_text(NODE)
        env = {**os.environ, "NODE_PATH": str((GCOORD / "node_modules").resolve())}
        return run(["node", script, source, target, given, out, str(rounds)], env=env)
    transformer = pyproj.Transformer.from_crs(source, target, always_xy=True)
    points = np.fromfile(given).reshape(-1, 2)
    x, y = points[:, 0].copy(), points[:, 1].copy()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        u, v = transformer.transform(x, y)
        seconds.append(time.perf_counter() - start)
    np.column_stack([u, v]).tofile(out)
    return statistics.median(seconds)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    gcoord = json.loads((GCOORD / "node_modules/gcoord/package.json").read_text())["version"]
    node = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
    print(f"{count} points, median of {rounds}; pyproj {pyproj.__version__} (PROJ {pyproj.proj_version_str}), "
          f"numpy {np.__version__}, gcoord {gcoord} (node {node})")
    generator = np.random.default_rng(8)
    degrees = np.column_stack([generator.uniform(120.9, 122.0, count), generator.uniform(30.7, 31.8, count)])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        base, given, ours, theirs = (folder / name for name in ("base", "given", "ours", "theirs"))
        degrees.tofile(base)
        print(f"{'':32}{'Zonglan':>12}{'peer':>12}  million points/s; largest difference")
        for source, target, name, their_source, their_target, unit in CASES:
            zonglan("points", "wgs84" if not source.startswith("epsg") else "cgcs2000", source, base, given, 1)
            mine = zonglan("points", source, target, given, ours, rounds)
            other = peer(name, their_source, their_target, given, theirs, rounds, folder)
            difference = np.abs(np.fromfile(ours) - np.fromfile(theirs)).reshape(-1, 2)
            metres = difference * (unit or math.pi / 180 * 6_371_008.8)
            print(f"{source + ' -> ' + target:32}{count / mine / 1e6:12.2f}{count / other / 1e6:12.2f}  "
                  f"{metres.max():.2e} m ({name})")
        rows = folder / "rows.csv"
        with rows.open("w") as file:
            file.write("id,name,lon,lat,remark\n")
            for i, (lon, lat) in enumerate(degrees[:300_000]):
                file.write(f"{i},点{i},{lon:.6f},{lat:.6f},\"a, b\"\n")
        for target in ("gcj02", "epsg:4549"):
            seconds = zonglan("csv", "cgcs2000" if target != "gcj02" else "wgs84", target, rows, folder / "out.csv", rounds)
            print(f"CSV of 300,000 rows to {target}: {seconds:.3f} s")


main()
