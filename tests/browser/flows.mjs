// What people do in the editor, done in a headless Chromium: node flows.mjs <address> <flow> <folder for screenshots> [file …]
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { FLAGS, PROGRAM } from './browser.mjs';
import { address, ask, complaints, flow, shot } from './page.mjs';
import ease from './flows/ease.mjs';
import files from './flows/files.mjs';
import graph from './flows/graph.mjs';
import media from './flows/media.mjs';
import runs from './flows/runs.mjs';
import subgraphs from './flows/subgraphs.mjs';
import tools from './flows/tools.mjs';
import views from './flows/views.mjs';

const require = createRequire(new URL('../../web/ui/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const FLOWS = { ...graph, ...ease, ...subgraphs, ...files, ...media, ...runs, ...tools, ...views };
/** What a flow asks the server for although it may refuse it; browsers write that into their console by themselves. */
const REFUSED = [['400', '/prompt'], ['404', '/view_metadata/']];

const shared = process.env.EASEL_BROWSER; // where the browser of all flows is
const browser = shared ? await chromium.connect(shared) : await chromium.launch({ executablePath: PROGRAM, args: FLAGS });
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, colorScheme: 'dark', reducedMotion: 'reduce' });
  page.setDefaultTimeout(25_000);
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('console', (message) => {
    const isRefused = REFUSED.some(([status, path]) => message.text().includes(status) && message.location().url.includes(path));
    if (['error', 'warning'].includes(message.type()) && !isRefused) complaints.push(`${message.type()}: ${message.text()} ${message.location().url}`);
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (!['blob:', 'data:'].includes(url.protocol) && url.host !== new URL(address).host) complaints.push(`request to ${url.host}`);
  });
  const perform = FLOWS[flow];
  if (!perform) throw new Error(`there is no flow ${flow}`);
  // the tour is a flow of its own
  if (flow !== 'toursNewcomers') await page.addInitScript(() => {
    if (!localStorage.getItem('easel.settings')) localStorage.setItem('easel.settings', JSON.stringify({ toured: true }));
  });
  await ask('api/queue/resume', { method: 'POST', body: '{}' }); // a flow that failed may have left it paused
  await page.goto(address);
  await page.getByText('Ready', { exact: true }).waitFor();
  await page.locator('.react-flow__node').first().waitFor();
  await shot(page, 'start');
  await perform(page).catch(async (error) => {
    await shot(page, 'failed');
    throw error;
  });
  assert.deepEqual(complaints, []);
} finally {
  await browser.close();
}
