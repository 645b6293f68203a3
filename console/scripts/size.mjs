// Fails when what the browser loads first, or all of it, is too large, compressed as a server would send it.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const FIRST_LIMIT = 120_000;
const LIMIT = 250_000;
const dist = new URL("../dist/", import.meta.url).pathname;

let html;
try {
  html = readFileSync(join(dist, "index.html"), "utf8");
} catch {
  console.error("dist/ is missing: run `npm run build` first");
  process.exit(1);
}
if (/<script(?![^>]*\bsrc=)[^>]*>|<style|\son\w+=|style="/i.test(html)) {
  console.error("index.html has inline code or styles, which the Content-Security-Policy forbids");
  process.exit(1);
}

const files = readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((f) => f.isFile())
  .map((f) => join(f.parentPath ?? f.path, f.name));
const sizes = files.map((f) => ({
  name: f.slice(dist.length),
  size: gzipSync(readFileSync(f), { level: 9 }).length,
}));
const first = sizes.filter(({ name }) => name === "index.html" || html.includes(`/ui/${name}`));
const sum = (list) => list.reduce((n, f) => n + f.size, 0);
for (const { name, size } of first) console.log(`${String(size).padStart(8)}  ${name}`);
console.log(
  `${String(sum(first)).padStart(8)}  first load of ${FIRST_LIMIT}; all ${sizes.length} files ${sum(sizes)} of ${LIMIT} bytes compressed`,
);

const foreign = files
  .filter((f) => /\.(js|css|html)$/.test(f))
  .flatMap(
    (f) => readFileSync(f, "utf8").match(/(?:src|href|url)\s*[=(]\s*["'`]?https?:\/\/[^"'`)\s]+/g) ?? [],
  );
if (foreign.length > 0) {
  console.error(`requests to other hosts: ${foreign.join(", ")}`);
  process.exit(1);
}
// The pages load when they are opened; all of them together stay under the limit as well.
if (sum(first) >= FIRST_LIMIT || sum(sizes) >= LIMIT) {
  console.error(`over the limit of ${FIRST_LIMIT} bytes at first or of ${LIMIT} in all`);
  process.exit(1);
}
