// Other views, small screens, other readers, scale.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as on from '../page.mjs';

const require = createRequire(new URL('../../../web/ui/package.json', import.meta.url));

export default {
  async isAccessible(page) {
    const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
    await page.evaluate(axe); // as the developer's console would: the page itself may run no foreign text
    const all = [];
    const check = async (what) => {
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
      const bad = found.violations.filter((each) => ['serious', 'critical'].includes(each.impact));
      const words = bad.map((each) => `${each.id}: ${each.nodes.slice(0, 3).map((one) => `${one.html.slice(0, 200)} ${one.failureSummary}`).join(' | ')}`);
      await on.shot(page, what.replaceAll(' ', '-'));
      all.push(...words.map((each) => `${what}: ${each}`));
    };
    for (const theme of ['dark', 'light']) {
      await on.command(page, `Colours: ${theme}`);
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
    await on.drop(page, 'many.json', JSON.stringify(grid(1000)));
    await on.tab(page, 'many').waitFor();
    await page.locator('.far-view').waitFor();
    await on.shot(page, 'far');
    const far = await pan(page);
    await page.keyboard.press('Control+f');
    await page.getByRole('combobox', { name: 'Find a node in this workflow' }).fill('500');
    await page.keyboard.press('Enter');
    await on.field(page, 'KSampler: steps').first().waitFor();
    await page.keyboard.press('m');
    await page.locator('.react-flow__minimap').waitFor({ state: 'detached' });
    await on.shot(page, 'near');
    const count = await page.evaluate(() => document.querySelectorAll('*').length);
    const near = await pan(page);
    // the first drawing of the page, with these nodes kept from before
    await on.draft(page);
    await page.reload();
    await page.locator('.react-flow__node').first().waitFor();
    const ready = await page.evaluate(() => Math.round(performance.now()));
    console.log(`${count} elements; panned at ${near} frames a second near, ${far} far; ready after ${ready} ms`);
    assert.ok(count < 3000, `${count} elements`);
  },

  async holdsTwoThousandNodes(page) {
    await on.drop(page, 'more.json', JSON.stringify(grid(2000)));
    await on.tab(page, 'more').waitFor();
    await page.locator('.far-view').waitFor();
    await page.keyboard.press('Control+f');
    await page.getByRole('combobox', { name: 'Find a node in this workflow' }).fill('1500');
    await page.keyboard.press('Enter');
    await on.field(page, 'KSampler: steps').first().waitFor();
    await on.field(page, 'KSampler: steps').first().fill('33');
    await on.rest(page);
    await on.eventually(() => on.draft(page), (file) => file.nodes.filter((each) => each.widgets_values[2] === 33).length === 1, 'the change');
    await page.keyboard.press('Control+z');
    await on.eventually(() => on.draft(page), (file) => file.nodes.every((each) => each.widgets_values[2] === 20), 'undo');
    console.log(`panned at ${await pan(page)} frames a second`);
  },
};

/** Many samplers, each linked to the next, as a file. */
function grid(count) {
  const nodes = Array.from({ length: count }, (_, at) => ({
    id: at + 1, type: 'KSampler', pos: [(at % 40) * 320, Math.floor(at / 40) * 420], size: [270, 300], flags: {}, order: at, mode: 0,
    inputs: [{ name: 'latent_image', type: 'LATENT', link: at || null }], outputs: [{ name: 'LATENT', type: 'LATENT', links: at + 1 < count ? [at + 1] : [] }],
    properties: {}, widgets_values: [at, 'fixed', 20, 8, 'euler', 'normal', 1],
  }));
  const links = Array.from({ length: count - 1 }, (_, at) => [at + 1, at + 1, 0, at + 2, 0, 'LATENT']);
  return { last_node_id: count, last_link_id: count - 1, nodes, links, groups: [], config: {}, extra: {}, version: 0.4 };
}

/** Drag the canvas about; gives frames a second. It is told, not asserted: it depends on the machine. */
async function pan(page) {
  await page.evaluate(() => {
    globalThis.frames = 0;
    globalThis.start = performance.now();
    const count = () => {
      globalThis.frames++;
      requestAnimationFrame(count);
    };
    requestAnimationFrame(count);
  });
  const box = await page.locator('.react-flow__pane').boundingBox();
  await page.mouse.move(box.x + 12, box.y + 12);
  await page.mouse.down();
  for (let turn = 0; turn < 4; turn++) await page.mouse.move(box.x + 12 + (turn % 2 ? 0 : 200), box.y + 12 + turn * 10, { steps: 15 });
  await page.mouse.up();
  return page.evaluate(() => Math.round((1000 * globalThis.frames) / (performance.now() - globalThis.start)));
}
