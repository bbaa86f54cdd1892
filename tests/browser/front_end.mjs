// ComfyUI's own front-end in a headless Chromium: node front_end.mjs <address> <workflow> <screenshot>
// It opens a workflow, runs it with Ctrl+Enter, and has to show progress while it runs and the picture at its end.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../web/ui/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const [address, file, shot] = process.argv.slice(2);
const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const WAIT = { timeout: 120_000 };

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
try {
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
  const refused = [];
  page.on('response', (answer) => {
    if (answer.url().startsWith(address) && answer.status() >= 500) refused.push(`${answer.status()} ${answer.url()}`);
  });
  await page.goto(address, WAIT);
  await page.waitForFunction(() => window.app?.graph && window.app.extensionManager && window.LiteGraph?.registered_node_types?.KSampler, null, WAIT);
  const workflow = JSON.parse(readFileSync(file, 'utf8'));
  for (let left = 5; ; left--) { // on a busy machine its own start may clear what was loaded too early
    await page.evaluate((workflow) => window.app.loadGraphData(workflow), workflow);
    const there = page.waitForFunction(() => window.app.graph.nodes.some((node) => node.type === 'SaveImage'), null, { timeout: 20_000 });
    if (await there.then(() => true, (error) => (left > 1 ? false : Promise.reject(error)))) break;
  }
  await page.evaluate(() => {
    window.told = { titles: new Set(), bars: new Set() };
    const look = () => {
      window.told.titles.add(document.title);
      for (const node of window.app.graph.nodes) if (node.progress) window.told.bars.add(node.progress);
      setTimeout(look, 2);
    };
    look();
  });
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+Enter');
  const shown = () => window.app.graph.nodes.find((node) => node.type === 'SaveImage' && node.imgs?.[0]?.naturalWidth)?.imgs[0];
  await page.waitForFunction(shown, null, WAIT);
  const picture = await page.evaluate(`(${shown})().naturalWidth + ' ' + (${shown})().src`);
  const told = await page.evaluate(() => ({ titles: [...window.told.titles], bars: [...window.told.bars] }));
  await page.screenshot({ path: shot });
  assert.match(picture, /^64 http.*\/view\?filename=/);
  assert(told.titles.some((title) => /%\].*KSampler/.test(title)), `no progress in the title: ${told.titles}`);
  assert(told.bars.some((part) => part > 0 && part <= 1), `no progress on the node: ${told.bars}`);
  assert.deepEqual(refused, []);
  console.log(JSON.stringify({ picture, titles: told.titles, bars: told.bars.length }));
} finally {
  await browser.close();
}
