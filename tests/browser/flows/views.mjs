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
    const one = (id) => ({ id, type: 'KSampler', pos: [(id % 40) * 320, Math.floor(id / 40) * 420], size: [270, 300], flags: {}, order: id, mode: 0, inputs: [], outputs: [], properties: {}, widgets_values: [id, 'fixed', 20, 8, 'euler', 'normal', 1] });
    const file = { last_node_id: 1000, last_link_id: 0, nodes: Array.from({ length: 1000 }, (_, at) => one(at + 1)), links: [], groups: [], config: {}, extra: {}, version: 0.4 };
    await on.drop(page, 'many.json', JSON.stringify(file));
    await page.locator('.tab.is-active', { hasText: 'many' }).waitFor();
    await page.locator('.far-title').first().waitFor();
    await on.shot(page, 'far');
    await page.getByRole('button', { name: 'Outline' }).focus();
    await page.keyboard.press('Control+f');
    await page.keyboard.type('500');
    await page.keyboard.press('Enter');
    await on.field(page, 'KSampler: steps').first().waitFor();
    await page.keyboard.press('m');
    await page.locator('.react-flow__minimap').waitFor({ state: 'detached' });
    await on.shot(page, 'near');
    const count = await page.evaluate(() => document.querySelectorAll('*').length);
    console.log(`${count} elements`);
    assert.ok(count < 3000, `${count} elements`);
  },
};
