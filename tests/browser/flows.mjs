// What people do in the editor, done in a headless Chromium: node flows.mjs <address> <flow> <folder for screenshots> [file …]
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';

const require = createRequire(new URL('../../web/ui/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const [address, flow, folder, ...files] = process.argv.slice(2);
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const RUN_MS = 120_000;

/** The workflow that is shown, as the editor keeps it in case of a crash. */
async function draft(page) {
  await page.waitForTimeout(600); // autosave waits for a pause
  return page.evaluate(() => {
    const kept = JSON.parse(localStorage.getItem('easel.drafts'));
    return kept.tabs.find((each) => each.id === kept.active).file;
  });
}
const node = (page, name) => page.locator('.react-flow__node', { has: page.locator('.node-title', { hasText: name }) });
const field = (page, name) => page.getByLabel(name, { exact: true });
const drop = async (page, name, text) => {
  const data = await page.evaluateHandle(([name, text]) => {
    const data = new DataTransfer();
    data.items.add(new File([text], name, { type: 'application/json' }));
    return data;
  }, [name, text]);
  await page.dispatchEvent('.app', 'drop', { dataTransfer: data });
};
const rest = (page) => page.locator('.react-flow__pane').click({ position: { x: 8, y: 8 } });
async function small(page) {
  await field(page, 'KSampler: steps').fill('2');
  await field(page, 'Empty Latent Image: width').fill('64');
  await field(page, 'Empty Latent Image: height').fill('64');
}
async function saved(page) {
  const [file] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Control+s')]);
  return readFileSync(await file.path(), 'utf8');
}
const command = async (page, words) => {
  await page.keyboard.press('Control+k');
  await page.keyboard.type(words);
  await page.keyboard.press('Enter');
};
async function pull(page, from, to) {
  const [a, b] = [await from.boundingBox(), await to.boundingBox()];
  await page.mouse.move(a.x + a.width / 2, a.y + a.height / 2);
  await page.mouse.down();
  await page.mouse.move(b.x + b.width / 2 - 30, b.y + b.height / 2, { steps: 4 });
  await page.mouse.move(b.x + b.width / 2, b.y + b.height / 2, { steps: 4 });
  await page.mouse.up();
}
const socket = (page, name, handle) => node(page, name).locator(`[data-handleid="${handle}"]`);

const FLOWS = {
  async opens(page) {
    assert.equal(await page.locator('.react-flow__node').count(), 7);
    assert.equal(await page.locator('.react-flow__edge').count(), 9);
    assert.equal(await page.title(), 'Text to image · Easel');
    assert.equal(await page.locator('.toast').count(), 0);
  },

  async runs(page) {
    await small(page);
    await page.keyboard.press('Control+Enter');
    const picture = node(page, 'Save Image').locator('.picture img');
    await picture.waitFor({ timeout: RUN_MS });
    await page.waitForFunction((image) => image.naturalWidth === 64, await picture.elementHandle());
    await page.getByText('Ready', { exact: true }).waitFor({ timeout: RUN_MS });
    await shot(page, 'after');
    await node(page, 'Save Image').getByRole('button', { name: /show it large/ }).click();
    await page.getByRole('button', { name: 'Open its workflow' }).waitFor();
    await shot(page, 'large');
    await page.getByRole('button', { name: 'Open its workflow' }).click();
    await page.waitForFunction(() => document.querySelectorAll('.tab').length === 2);
    assert.equal(await field(page, 'KSampler: steps').inputValue(), '2');
    const places = (file) => file.nodes.map((each) => each.pos);
    const opened = places(await draft(page));
    await page.keyboard.press('Alt+PageUp');
    await page.waitForFunction(() => document.querySelector('.tab.is-active')?.textContent.includes('Text to image'));
    assert.deepEqual(opened, places(await draft(page)));
    await page.getByRole('button', { name: 'Queue and history' }).click();
    await page.getByRole('button', { name: /^Show the pictures of job/ }).first().waitFor();
    await shot(page, 'queue');
  },

  async undoes(page) {
    const first = await draft(page);
    const header = node(page, 'KSampler').locator('.node-title');
    const { x, y } = await header.boundingBox();
    await page.mouse.move(x + 20, y + 6);
    await page.mouse.down();
    await page.mouse.move(x + 20, y - 150, { steps: 8 });
    await page.mouse.up();
    assert.notDeepEqual(await draft(page), first);
    await page.keyboard.press('Control+d');
    await page.keyboard.press('Control+m');
    await page.keyboard.press('Delete');
    await rest(page);
    await field(page, 'Positive prompt: text').fill('a cat & a dog');
    await rest(page);
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Control+b');
    await page.keyboard.press('Shift+L');
    await page.keyboard.press('Control+g');
    const last = await draft(page);
    assert.notDeepEqual(last, first);
    for (let turn = 0; turn < 20; turn++) await page.keyboard.press('Control+z');
    assert.deepEqual(await draft(page), first);
    await rest(page);
    for (let turn = 0; turn < 20; turn++) await page.keyboard.press('Control+Shift+z');
    assert.deepEqual(await draft(page), last);
    await shot(page, 'after');
  },

  async connectsByKeyboard(page) {
    await page.keyboard.press('Alt+n');
    await page.getByText('An empty workflow').waitFor();
    for (const name of ['EmptyLatentImage', 'VAEDecode']) {
      await page.keyboard.press('Shift+A');
      await page.getByRole('combobox', { name: 'Add a node' }).waitFor();
      await page.keyboard.type(name);
      await page.keyboard.press('Enter');
      await page.waitForFunction(() => document.activeElement?.classList.contains('react-flow__node'));
    }
    await page.keyboard.press('c');
    await page.getByRole('combobox', { name: 'Connect' }).waitFor();
    await page.keyboard.type('samples');
    await page.keyboard.press('Enter');
    await page.getByRole('combobox', { name: 'To' }).waitFor();
    await shot(page, 'palette');
    await page.keyboard.press('Enter');
    const file = await draft(page);
    assert.deepEqual(file.links.map((each) => each.slice(1)), [[1, 0, 2, 0, 'LATENT']]);
    assert.equal(await page.locator('.react-flow__edge').count(), 1);
    await page.keyboard.press('Control+z');
    assert.deepEqual((await draft(page)).links, []);
  },

  async linksByMouse(page) {
    const before = await draft(page);
    await pull(page, socket(page, 'Load Checkpoint', 'out:2'), socket(page, 'KSampler', 'in:model'));
    await page.getByText('“model” takes MODEL; this output gives VAE.').waitFor();
    await shot(page, 'refused');
    assert.deepEqual(await draft(page), before);
    await pull(page, socket(page, 'Negative prompt', 'out:0'), socket(page, 'KSampler', 'in:positive'));
    const links = (await draft(page)).links.filter((each) => each[3] === 5 && each[5] === 'CONDITIONING');
    assert.deepEqual(links.map((each) => each[1]), [3, 3]);
  },

  async offersNodesForALink(page) {
    const { x, y } = await socket(page, 'VAE Decode', 'out:0').boundingBox();
    await page.mouse.move(x + 7, y + 7);
    await page.mouse.down();
    await page.mouse.move(x + 40, y + 260, { steps: 6 });
    await page.mouse.up();
    await page.getByRole('combobox', { name: 'Add a node that fits' }).fill('Invert');
    await page.keyboard.press('Enter');
    const file = await draft(page);
    const made = file.nodes.find((each) => each.type === 'ImageInvert');
    assert.ok(file.links.some((each) => each[1] === 6 && each[3] === made.id));
    await page.keyboard.press('Control+z');
    assert.equal((await draft(page)).nodes.length, 7);
  },

  async showsErrors(page) {
    const file = await draft(page);
    file.nodes.find((each) => each.type === 'KSampler').widgets_values[4] = 'plmz';
    await drop(page, 'wrong.json', JSON.stringify(file));
    await page.locator('.tab', { hasText: 'wrong' }).waitFor();
    await page.keyboard.press('Control+Enter');
    const errors = node(page, 'KSampler').locator('.node-errors');
    await errors.getByText('did you mean').waitFor();
    await page.keyboard.press('e');
    await page.getByRole('button', { name: 'Locate KSampler (5)' }).waitFor();
    await page.waitForTimeout(400);
    await shot(page, 'errors');
    await errors.getByRole('button', { name: 'plms', exact: true }).click();
    assert.equal((await draft(page)).nodes.find((each) => each.type === 'KSampler').widgets_values[4], 'plms');
  },

  async keepsFiles(page) {
    for (const path of files) {
      const text = readFileSync(path, 'utf8');
      await drop(page, basename(path), text);
      await page.locator('.tab.is-active', { hasText: basename(path).replace('.json', '') }).waitFor();
      assert.deepEqual(JSON.parse(await saved(page)), JSON.parse(text), path);
    }
    await shot(page, 'after');
  },

  async keepsUnknownNodes(page) {
    const text = `{"last_node_id":1,"last_link_id":0,"nodes":[{"id":1,"type":"<img src=x onerror=alert(1)>","pos":[0,0],"size":[300,120],"flags":{},"order":0,"mode":0,
      "title":"<b>bold</b>","inputs":[],"outputs":[{"name":"<i>","type":"WEIRD","links":[]}],"properties":{},"widgets_values":[18446744073709551615,{"deep":[null]}]}],
      "links":[],"groups":[{"title":"<u>group</u>","bounding":[-20,-60,400,260]}],"config":{},"extra":{"mystery":7},"version":0.4}`;
    await drop(page, 'alien.json', text);
    await page.getByText('The graph is kept as it is.').waitFor();
    assert.equal(await page.locator('.node-title').textContent(), '<b>bold</b>');
    assert.equal(await page.locator('.frame-title').textContent(), '<u>group</u>');
    await shot(page, 'missing');
    const written = await saved(page);
    assert.ok(written.includes('18446744073709551615'));
    assert.deepEqual(JSON.parse(written), JSON.parse(text));
  },

  async comesBack(page) {
    await field(page, 'Positive prompt: text').fill('kept over a reload');
    await rest(page);
    await page.keyboard.press('Alt+n');
    await page.keyboard.press('Control+k');
    await page.keyboard.press('Escape');
    await draft(page);
    await page.reload();
    await page.locator('.tab').nth(1).waitFor();
    await page.keyboard.press('Alt+PageUp');
    assert.equal(await field(page, 'Positive prompt: text').inputValue(), 'kept over a reload');
  },

  /** The test kills the server when it reads "running", and starts another on the same port. */
  async recovers(page) {
    await field(page, 'KSampler: steps').fill('30');
    await page.keyboard.press('Control+Enter');
    await node(page, 'KSampler').getByRole('progressbar').waitFor({ timeout: RUN_MS });
    console.log('running');
    await page.getByText('No connection; trying again.').waitFor({ timeout: RUN_MS });
    await shot(page, 'lost');
    await field(page, 'Positive prompt: text').fill('edited while the server was away');
    await node(page, 'Save Image').locator('.picture img').waitFor({ timeout: RUN_MS });
    await page.getByText('Ready', { exact: true }).waitFor({ timeout: RUN_MS });
    assert.equal(await field(page, 'Positive prompt: text').inputValue(), 'edited while the server was away');
    await page.reload();
    await node(page, 'Save Image').locator('.picture img').waitFor();
    await shot(page, 'back');
    complaints.length = 0; // the browser notes each failed attempt to connect
  },

  async fitsAPhone(page) {
    await page.setViewportSize({ width: 390, height: 844 });
    await page.waitForTimeout(400);
    await shot(page, 'phone');
    for (const name of ['Run', 'Easel menu']) {
      const box = await page.getByRole('button', { name, exact: true }).boundingBox();
      assert.ok(box && box.x >= 0 && box.x + box.width <= 390, name);
    }
  },

  async isAccessible(page) {
    const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
    await page.evaluate(axe); // as the developer's console would: the page itself may run no foreign text
    const all = [];
    const check = async (what) => {
      await page.waitForTimeout(250);
      const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
      const bad = found.violations.filter((each) => ['serious', 'critical'].includes(each.impact));
      const words = bad.map((each) => `${each.id}: ${each.nodes.slice(0, 3).map((one) => `${one.html.slice(0, 200)} ${one.failureSummary}`).join(' | ')}`);
      await shot(page, what.replaceAll(' ', '-'));
      all.push(...words.map((each) => `${what}: ${each}`));
    };
    for (const theme of ['dark', 'light']) {
      await command(page, `Colours: ${theme}`);
      await check(`canvas ${theme}`);
      for (const [key, name] of [['o', 'outline'], ['q', 'queue'], ['g', 'gallery'], ['e', 'problems']]) {
        await page.keyboard.press(key);
        await check(`${name} ${theme}`);
        await page.keyboard.press(key);
      }
      await page.keyboard.press('Control+k');
      await check(`palette ${theme}`);
      await page.keyboard.press('Escape');
      await page.keyboard.press('?');
      await check(`help ${theme}`);
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Easel menu' }).click();
      await check(`menu ${theme}`);
      await page.keyboard.press('Escape');
    }
    assert.deepEqual(all, []);
  },

  async holdsAThousandNodes(page) {
    const one = (id) => ({ id, type: 'KSampler', pos: [(id % 40) * 320, Math.floor(id / 40) * 420], size: [270, 300], flags: {}, order: id, mode: 0, inputs: [], outputs: [], properties: {}, widgets_values: [id, 'fixed', 20, 8, 'euler', 'normal', 1] });
    const file = { last_node_id: 1000, last_link_id: 0, nodes: Array.from({ length: 1000 }, (_, at) => one(at + 1)), links: [], groups: [], config: {}, extra: {}, version: 0.4 };
    await drop(page, 'many.json', JSON.stringify(file));
    await page.locator('.tab.is-active', { hasText: 'many' }).waitFor();
    await page.waitForTimeout(500);
    await shot(page, 'far');
    await page.getByRole('button', { name: 'Outline' }).focus();
    await page.keyboard.press('Control+f');
    await page.keyboard.type('500');
    await page.keyboard.press('Enter');
    await page.waitForTimeout(800);
    await page.keyboard.press('m');
    await page.waitForTimeout(300);
    await shot(page, 'near');
    const count = await page.evaluate(() => document.querySelectorAll('*').length);
    console.log(`${count} elements`);
    assert.ok(count < 3000, `${count} elements`);
    await field(page, 'KSampler: steps').first().waitFor();
  },
};

const shot = (page, name) => page.screenshot({ path: join(folder, `${flow}-${name}.png`) });

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: FLAGS });
const complaints = [];
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, colorScheme: 'dark', reducedMotion: 'reduce' });
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('console', (message) => {
    // a refused workflow is answered 400, which the browser writes into its console by itself
    if (['error', 'warning'].includes(message.type()) && !(message.text().includes('400') && message.location().url.endsWith('/prompt'))) complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (!['blob:', 'data:'].includes(url.protocol) && url.host !== new URL(address).host) complaints.push(`request to ${url.host}`);
  });
  await page.goto(address);
  await page.getByText('Ready', { exact: true }).waitFor();
  await page.waitForTimeout(300); // the first view settles
  await shot(page, 'start');
  await FLOWS[flow](page).catch(async (error) => {
    await shot(page, 'failed');
    throw error;
  });
  assert.deepEqual(complaints, []);
} finally {
  await browser.close();
}
