// How the editor bears large graphs, measured against a running server: node scripts/scale.mjs <address> [runs]
// Tells medians: elements, milliseconds until the page is drawn and ready, frames a second while the graph is dragged
// about, and milliseconds from a key to the next frame. Nothing else may run on the machine meanwhile.
import { chromium } from 'playwright-core';

const [address = 'http://127.0.0.1:8188/', runs = '3'] = process.argv.slice(2);
const SIZES = [1000, 2000];
const SAMPLER = 'KSampler: steps';
const NEAR = { x: -1600, y: -900, zoom: 1 }; // about fifteen nodes are on the screen

/** Many samplers, each linked to the next, as the editor keeps its open workflows. */
function draft(count, view) {
  const nodes = Array.from({ length: count }, (_, at) => ({
    id: at + 1, type: 'KSampler', pos: [(at % 40) * 320, Math.floor(at / 40) * 420], size: [270, 300], flags: {}, order: at, mode: 0,
    inputs: [{ name: 'latent_image', type: 'LATENT', link: at || null }],
    outputs: [{ name: 'LATENT', type: 'LATENT', links: at + 1 < count ? [at + 1] : [] }],
    properties: {}, widgets_values: [at, 'fixed', 20, 8, 'euler', 'normal', 1],
  }));
  const links = Array.from({ length: count - 1 }, (_, at) => [at + 1, at + 1, 0, at + 2, 0, 'LATENT']);
  const file = { last_node_id: count, last_link_id: count - 1, nodes, links, groups: [], config: {}, extra: {}, version: 0.4 };
  return JSON.stringify({ active: 'a', tabs: [{ id: 'a', name: `${count} nodes`, path: null, clean: true, view, file }] });
}

const frames = (page, act) =>
  page.evaluate(() => {
    globalThis.counted = { frames: 0, start: performance.now() };
    const count = () => {
      globalThis.counted.frames++;
      requestAnimationFrame(count);
    };
    requestAnimationFrame(count);
  }).then(act).then(() => page.evaluate(() => (1000 * globalThis.counted.frames) / (performance.now() - globalThis.counted.start)));

/** Drag the bare canvas to and fro for some seconds. */
async function pan(page) {
  const place = () => page.locator('.react-flow__viewport').evaluate((each) => each.style.transform);
  const before = await place();
  const box = await page.locator('.react-flow__pane').boundingBox();
  const spot = await page.evaluate(({ x, y, width, height }) => {
    for (let down = 6; down < height; down += 6)
      for (let across = 6; across < width; across += 6)
        if (document.elementFromPoint(x + across, y + down)?.classList.contains('react-flow__pane')) return [x + across, y + down];
    return null;
  }, box);
  const [x, y] = spot;
  await page.mouse.move(x, y);
  await page.mouse.down();
  for (let turn = 0; turn < 6; turn++) await page.mouse.move(x + (turn % 2 ? 0 : 300), y + turn * 8, { steps: 40 });
  await page.mouse.up();
  if ((await place()) === before) throw new Error('the view did not move: nothing was measured');
}

/** Milliseconds from a key in a field to the next frame, the median of many. */
const typing = (page) =>
  page.getByLabel(SAMPLER, { exact: true }).first().evaluate(async (field) => {
    field.focus();
    const times = [];
    for (let at = 0; at < 15; at++) {
      const start = performance.now();
      field.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowUp', bubbles: true, cancelable: true }));
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      times.push(performance.now() - start);
    }
    return times.sort((a, b) => a - b)[7];
  });

const drawn = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())))));

async function measure(browser, count, view) {
  const page = await browser.newPage({ viewport: { width: 1600, height: 900 }, reducedMotion: 'reduce' });
  await page.addInitScript((text) => {
    localStorage.setItem('easel.settings', JSON.stringify({ toured: true }));
    localStorage.setItem('easel.drafts', text);
  }, draft(count, view));
  await page.goto(address);
  const sign = view ? page.getByLabel(SAMPLER, { exact: true }).first() : page.locator('.far-view');
  await sign.waitFor();
  await page.getByText('Ready', { exact: true }).waitFor();
  const ready = await drawn(page);
  await page.waitForTimeout(1000);
  const elements = await page.evaluate(() => document.querySelectorAll('*').length);
  const speed = await frames(page, () => pan(page));
  const key = view ? await typing(page) : Number.NaN;
  await page.close();
  return { elements, ready, 'frames a second': speed, 'ms to type': key };
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
try {
  await measure(browser, 400, NEAR); // the browser's and the server's first time
  const table = {};
  for (const count of SIZES)
    for (const [name, view] of [['near', NEAR], ['whole', null]]) {
      const found = [];
      for (let run = 0; run < Number(runs); run++) found.push(await measure(browser, count, view));
      table[`${count} ${name}`] = Object.fromEntries(Object.keys(found[0]).map((key) => [key, Math.round(median(found.map((each) => each[key])))]));
    }
  console.table(table);
} finally {
  await browser.close();
}
