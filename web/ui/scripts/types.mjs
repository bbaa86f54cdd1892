// The types of the server's routes that the editor uses, made from the server's own description of them:
//   node scripts/types.mjs <openapi.json> [--check]
// Only the routes of USED are taken, so that others may change without this file. `--check` says whether the server still
// gives all that it promises.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import openapiTS, { astToString } from 'openapi-typescript';
import ts from 'typescript';

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
/** The bodies that the editor sends. */
const BODIES = ['NewJobBody', 'MoveBody'];
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
else {
  const faults = misfits(made);
  for (const each of faults) console.error(each);
  if (faults.length) console.error('src/net/schema.d.ts is stale: see "Types of the server" in web/ui/README.md');
  process.exitCode = faults.length ? 1 : 0;
}

/** What the kept types promise and the server, by types made from its description now, does not keep. It may give more. */
function misfits(fresh) {
  const folder = mkdtempSync(join(tmpdir(), 'easel-types-'));
  try {
    writeFileSync(join(folder, 'fresh.d.ts'), fresh);
    writeFileSync(join(folder, 'kept.d.ts'), readFileSync(TARGET));
    const check = join(folder, 'check.ts');
    writeFileSync(check, `import type * as fresh from './fresh';
import type * as kept from './kept';
declare const now: fresh.paths;
export const answers: kept.paths = now; // all that the editor reads is given
type Body<K extends string, S> = K extends keyof S ? S[K] : never;
${BODIES.map((name) => `declare const ${name}Sent: Body<'${name}', kept.components['schemas']>;
export const ${name}Taken: Body<'${name}', fresh.components['schemas']> = ${name}Sent; // all that it sends is taken`).join('\n')}
`);
    const program = ts.createProgram([check], { strict: true, noEmit: true, skipLibCheck: true, types: [] });
    return ts.getPreEmitDiagnostics(program).map((each) => ts.flattenDiagnosticMessageText(each.messageText, '\n'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
