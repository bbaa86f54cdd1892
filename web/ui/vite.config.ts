import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

const HERE = import.meta.dirname;
/** What the bundle is made from; tests/browser/test_bundle.py computes the same sum without Node. */
const SINGLE = [
  'index.html',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'vite.config.ts',
  '../../workflows/txt2img.json',
];

function sources(): string[] {
  const found = readdirSync(join(HERE, 'src'), { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile() && !each.name.endsWith('.d.ts')) // types are in no bundle
    .map((each) => relative(HERE, join(each.parentPath, each.name)).replaceAll('\\', '/'));
  return [...found, ...SINGLE].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** Writes the sum of all sources beside the bundle, so that a test can tell when the bundle is stale. */
function sumOfSources(): Plugin {
  return {
    name: 'sum-of-sources',
    generateBundle() {
      const sum = createHash('sha256');
      for (const name of sources()) {
        const content = createHash('sha256')
          .update(readFileSync(join(HERE, name)))
          .digest('hex');
        sum.update(`${content}  ${name}\n`);
      }
      this.emitFile({ type: 'asset', fileName: 'inputs.sha256', source: `${sum.digest('hex')}\n` });
    },
  };
}

export default defineConfig({
  root: HERE,
  base: './',
  plugins: [react(), sumOfSources()],
  build: {
    outDir: join(HERE, '../dist'),
    emptyOutDir: true,
    sourcemap: false,
    modulePreload: false,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1500,
    license: { fileName: 'THIRD_PARTY_LICENSES.txt' },
    rolldownOptions: {
      output: {
        entryFileNames: 'assets/app.js',
        chunkFileNames: 'assets/[name].js',
        assetFileNames: 'assets/[name][extname]',
        codeSplitting: { groups: [{ name: 'vendor', test: /node_modules/ }] },
      },
    },
  },
  server: { proxy: { '/api': { target: 'http://127.0.0.1:8188', ws: true } } },
});
