// What the flows do with a page, in words. Nothing here waits for a time: it waits for a condition, with a generous limit.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const RUN_MS = 120_000;
const [place, ...given] = process.argv.slice(2);
/** Ends in a slash. */
export const address = new URL(place).href;
export const [flow, folder, ...files] = given;
export const complaints = [];
/** How many nodes the page opens with. */
export const FIRST = JSON.parse(readFileSync(new URL('../../workflows/txt2img.json', import.meta.url), 'utf8')).nodes.length;

/** A picture of the page for those who look: of each view if EASEL_SHOTS names a folder, else of what went wrong. */
export const shot = async (page, name) => {
  if (process.env.EASEL_SHOTS || name === 'failed') await page.screenshot({ path: join(folder, `${flow}-${name}.png`) });
};

/** Ask until the answer will do; fails with the last one. */
export async function eventually(ask, wanted, what = '', limit = 25_000) {
  const end = Date.now() + limit;
  for (;;) {
    const found = await ask();
    if (wanted(found)) return found;
    if (Date.now() > end) assert.fail(`${what || 'it'} did not come; the last was ${JSON.stringify(found)?.slice(0, 2000)}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** The workflow that is shown, as the editor keeps it in case of a crash. */
export const draft = (page) =>
  page.evaluate(() => {
    dispatchEvent(new Event('pagehide')); // it keeps all before it goes
    const kept = JSON.parse(localStorage.getItem(`easel.drafts.${sessionStorage.getItem('easel.client')}`));
    return kept.tabs.find((each) => each.id === kept.active).file;
  });
/** The same, as text: with every digit. */
export const draftText = (page) =>
  page.evaluate(() => {
    dispatchEvent(new Event('pagehide'));
    return localStorage.getItem(`easel.drafts.${sessionStorage.getItem('easel.client')}`);
  });

export const node = (page, name) => page.locator('.react-flow__node', { has: page.locator('.node-title', { hasText: name }) });
export const field = (page, name) => page.getByLabel(name, { exact: true });
export const button = (page, name) => page.getByRole('button', { name, exact: true });
export const tab = (page, name) => page.locator('.tab.is-active', { hasText: name });
export const socket = (page, name, handle) => node(page, name).locator(`[data-handleid="${handle}"]`);
export const rest = (page) => page.locator('.react-flow__pane').click({ position: { x: 8, y: 8 } });

/** Show the whole graph, and wait until the view stands still: it glides there, and what is pressed meanwhile is missed. */
export async function fit(page) {
  await page.keyboard.press('.');
  const seen = [];
  await eventually(async () => {
    seen.push(await page.locator('.react-flow__viewport').getAttribute('style'));
    return seen.slice(-5);
  }, (last) => last.length === 5 && new Set(last).size === 1, 'a view that stands still');
}

export async function drop(page, name, text, type = 'application/json', on = '.app') {
  const data = await page.evaluateHandle(([name, text, type]) => {
    const data = new DataTransfer();
    const content = type === 'application/json' ? text : Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
    data.items.add(new File([content], name, { type }));
    return data;
  }, [name, text, type]);
  await page.dispatchEvent(on, 'drop', { dataTransfer: data });
}

export async function small(page) {
  await field(page, 'KSampler: steps').fill('2');
  await field(page, 'Empty Latent Image: width').fill('64');
  await field(page, 'Empty Latent Image: height').fill('64');
}

/** Run the open workflow and wait for its picture. */
export async function run(page, name = 'Save Image') {
  await page.keyboard.press('Control+Enter');
  const picture = node(page, name).locator('.picture img');
  await picture.first().waitFor({ timeout: RUN_MS });
  await page.getByText('Ready', { exact: true }).waitFor({ timeout: RUN_MS });
  return picture;
}

/** Do what makes the browser download a file; gives the file's text. */
export async function downloaded(page, act) {
  const [file] = await Promise.all([page.waitForEvent('download'), act()]);
  const parts = [];
  for await (const part of await file.createReadStream()) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}
export const exported = (page) => downloaded(page, () => page.keyboard.press('Control+Alt+s'));

export async function command(page, words) {
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox', { name: 'Commands' }).fill(words);
  await page.keyboard.press('Enter');
}

export async function pull(page, from, to) {
  const [a, b] = [await from.boundingBox(), await to.boundingBox()];
  await page.mouse.move(a.x + a.width / 2, a.y + a.height / 2);
  await page.mouse.down();
  await page.mouse.move(b.x + b.width / 2 - 30, b.y + b.height / 2, { steps: 4 });
  await page.mouse.move(b.x + b.width / 2, b.y + b.height / 2, { steps: 4 });
  await page.mouse.up();
}

/** Press the header of a node; `modifiers` as in playwright. */
export const press = (page, name, modifiers = []) => node(page, name).locator('.node-title').click({ modifiers });

/** A request to the server, past the page. */
export const ask = async (path, options) => {
  const answer = await fetch(address + path, options);
  return answer.headers.get('content-type')?.includes('json') ? answer.json() : answer.text();
};
