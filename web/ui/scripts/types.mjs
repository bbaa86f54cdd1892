// The types of the server's routes that the editor uses, made from the server's own description of them:
//   node scripts/types.mjs <openapi.json> [--check]
// Only the routes of USED are taken, so that others may change without this file. `--check` says whether it is current.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import openapiTS, { astToString } from 'openapi-typescript';

const USED = [
  '/api/jobs',
  '/api/jobs/{job_id}',
  '/api/jobs/{job_id}/cancel',
  '/api/jobs/{job_id}/retry',
  '/api/queue/pause',
  '/api/queue/resume',
  '/api/predict',
  '/api/gallery',
  '/api/gallery/{id}',
  '/api/gallery/{id}/restore',
  '/api/models/{folder}/{filename}/info',
  '/api/workflows/import',
];
const TARGET = join(import.meta.dirname, '../src/net/schema.d.ts');
const [source, flag] = process.argv.slice(2);
const whole = JSON.parse(readFileSync(source, 'utf8'));

const missing = USED.filter((path) => !(path in whole.paths));
if (missing.length) throw new Error(`the server describes no ${missing.join(', ')}; found: ${Object.keys(whole.paths).join(', ')}`);
const paths = Object.fromEntries(USED.map((path) => [path, whole.paths[path]]));

/** The parts of the document that another part names, and those that they name; by kind and name, sorted. */
const components = {};
const reach = (part) => {
  for (const [, kind, name] of JSON.stringify(part).matchAll(/"#\/components\/([^"/]+)\/([^"/]+)"/g)) {
    components[kind] ??= {};
    if (name in components[kind]) continue;
    components[kind][name] = whole.components[kind][name];
    reach(components[kind][name]);
  }
};
reach(paths);
const sorted = (named) => Object.fromEntries(Object.entries(named).sort(([a], [b]) => (a < b ? -1 : 1)));
const document = {
  openapi: whole.openapi,
  info: { title: 'Easel', version: '1' },
  paths,
  components: sorted(Object.fromEntries(Object.entries(components).map(([kind, named]) => [kind, sorted(named)]))),
};
const made = `// Made by scripts/types.mjs from the server's /openapi.json; not edited by hand.\n${astToString(
  await openapiTS(document, { defaultNonNullable: false }),
)}`;
if (flag !== '--check') writeFileSync(TARGET, made);
else if (readFileSync(TARGET, 'utf8') !== made) {
  console.error('src/net/schema.d.ts is stale: see "Types of the server" in web/ui/README.md');
  process.exitCode = 1;
}
