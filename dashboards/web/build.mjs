// Bundles the pages' scripts and styles into dist/. `--watch` rebuilds on change.
import * as esbuild from "esbuild";
import { cpSync, mkdirSync, rmSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist");
cpSync("static", "dist", { recursive: true });

const options = {
  entryPoints: ["app", "board", "explore", "search", "case", "grants", "import", "records", "tasks", "api", "geo", "models", "indices"].map((name) => `src/${name}.ts`).concat(["src/app.css", "src/board.css", "src/cases.css", "src/explore.css"]),
  outdir: "dist",
  bundle: true,
  format: "esm",
  minify: true,
  target: "chrome86",
  charset: "utf8",
  legalComments: "none",
  define: { "process.env.NODE_ENV": '"production"', __DEV__: "false" },
  metafile: true,
};
if (process.argv.includes("--watch")) {
  await (await esbuild.context(options)).watch();
} else {
  const result = await esbuild.build(options);
  for (const [file, { bytes }] of Object.entries(result.metafile.outputs)) console.log(`${file} ${(bytes / 1024).toFixed(1)} kB`);
}
